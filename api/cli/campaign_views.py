"""How campaigns look on a terminal: previews, lists, one campaign, its targets and decisions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from api.cli.errors import Record
from api.cli.next_steps import next_step
from api.cli.output import Column, Screen, ago, counted, duration, moment, share, short, words
from api.cli.plan_views import minute, plan_fields, wanted
from api.cli.references import starts

ROLLBACK_BASE = 1000
_SHOWN_EXCLUSIONS = 20


def name(campaign: Record) -> str:
    """What people call it."""
    return str(campaign["name"])


def draw_preview(screen: Screen, body: Record, preview: Record, step: str) -> None:
    """What a plan would do, who is left out and why, and what to do next."""
    chargers, waves = counted(preview["cohort_size"], "charger"), counted(len(preview["waves"]), "wave")
    screen.line(f"{body['name']}: {chargers} in {waves}.")
    screen.line()
    rows = [_preview_row(wave, preview["cohort_size"]) for wave in preview["waves"]]
    columns = (
        Column("WAVE"),
        Column("CHARGERS", right=True),
        Column("SHARE", right=True),
        Column("BEGINS AT THE EARLIEST"),
        Column("RULES OUT", right=True, optional=True),
        Column("FIRST", fold=True, optional=True),
    )
    screen.table(columns, rows, empty="No waves.")
    screen.line()
    screen.line("RULES OUT: failure rates above this, if nobody up to that wave fails (95 % confidence).")
    _draw_excluded(screen, preview["excluded"])
    if preview.get("required_approvals"):
        asked = {**body, "required_approvals": preview["required_approvals"]}
        screen.line(f"Approvals: {wanted(asked)}.")
    for warning in preview["warnings"]:
        screen.line(f"Warning: {warning}")
    screen.line()
    screen.line(f"Digest {short(preview['plan_digest'])}. Nothing is stored yet. To create it, {step}")


def _preview_row(wave: Record, cohort: int) -> tuple[str, ...]:
    chargers = wave["chargers"]
    first = ", ".join(str(one) for one in chargers[:3]) + (", ..." if len(chargers) > 3 else "")
    over = "-" if wave.get("rules_out") is None else f"> {100 * wave['rules_out']:.1f} %"
    begins = minute(wave.get("begins"))
    return str(wave["name"]), str(len(chargers)), share(len(chargers), cohort), begins, over, first


def draw_planned(screen: Screen, rows: Sequence[Record]) -> None:
    """Every charger of a preview: its wave and earliest time, or why it is left out."""
    columns = (
        Column("CHARGER"),
        Column("SITE", optional=True),
        Column("WAVE"),
        Column("EARLIEST"),
        Column("BECAUSE", fold=True),
    )
    cells = [
        (
            str(row["charger_id"]),
            str(row["site_id"] or "-"),
            str(row["wave_name"] or "left out"),
            minute(row["earliest"]),
            str(row["reason"]),
        )
        for row in rows
    ]
    screen.table(columns, cells, empty="Nobody matches.")


def _draw_excluded(screen: Screen, excluded: Sequence[Record]) -> None:
    screen.line()
    if not excluded:
        screen.line("Nobody that the filter matches is left out.")
        return
    screen.line(f"Left out: {counted(len(excluded), 'charger')}.")
    for reason, count in Counter(str(one["reason"]) for one in excluded).most_common(_SHOWN_EXCLUSIONS):
        named = [str(one["charger_id"]) for one in excluded if str(one["reason"]) == reason]
        more = ", ..." if count > 3 else ""
        screen.line(f"  {count} x {reason} ({', '.join(named[:3])}{more})")


def draw_list(screen: Screen, campaigns: Sequence[Record], now: datetime) -> None:
    """All campaigns, one to a line."""
    columns = (
        Column("CAMPAIGN", fold=True),
        Column("STATE"),
        Column("CHARGERS", right=True),
        Column("CREATED"),
        Column("BY", optional=True),
        Column("ID", optional=True),
        Column("REASON", optional=True, fold=True),
    )
    rows = [
        (
            name(item),
            words(item["phase"]),
            str(item["cohort_size"]),
            ago(item["created_at"], now),
            str(item["created_by"]),
            start,
            str(item.get("reason") or ""),
        )
        for item, start in zip(campaigns, starts([str(one["campaign_id"]) for one in campaigns]), strict=True)
    ]
    screen.table(columns, rows, empty="No campaigns yet. Try one out: ampwave campaign plan FILE")


def draw_campaign(
    screen: Screen,
    item: Record,
    now: datetime,
    *,
    images: Mapping[str, str],
    decisions: Sequence[Record] = (),
    called: str = "",
) -> None:
    """One campaign: where it stands, why, its plan, waves and verdicts; what to do next if ``called``."""
    screen.fields(
        [
            ("Campaign", f"{name(item)} ({item['campaign_id']})"),
            ("State", words(item["phase"])),
            ("Because", item.get("reason") or None),
            *(("Stopped", stopped(one)) for one in item.get("stopped_by") or ()),
            ("Chargers", str(item["cohort_size"])),
            ("Approved by", _approvals(item)),
            ("Created", f"{moment(item['created_at'], now)} by {item['created_by']}"),
            ("Finished", moment(item.get("finished_at"), now)),
            ("Plan digest", str(item["plan_digest"])),
            *plan_fields(item, images),
            ("Approvals", wanted(item["plan"])),
        ]
    )
    screen.line()
    draw_waves(screen, item)
    for one in item.get("waiting") or ():
        screen.line(f"{one['chargers']} waiting: {one['reason']}")
    _draw_decisions(screen, item, decisions, now, called)
    if called and (step := next_step(item, decisions, now, called)):
        screen.line()
        screen.line(step)


def stopped(stop: Record) -> str:
    """What keeps anything from being sent, and how that ends."""
    return f"{str(stop['why']).rstrip('.')}. {stop['lifted']}"


def draw_waves(screen: Screen, item: Record) -> None:
    """The waves in numbers; before there are any, as they are planned."""
    columns = (
        Column("WAVE"),
        Column("DONE", right=True),
        Column("UPDATED", right=True),
        Column("FAILED", right=True),
        Column("DEFERRED", right=True),
        Column("WAITING", right=True, optional=True),
        Column("IN FLIGHT", right=True, optional=True),
        Column("OTHER", right=True, optional=True),
    )
    screen.table(columns, [wave_row(tally) for tally in item["waves"]], empty=_planned(item))


def wave_row(tally: Record) -> tuple[str, ...]:
    """One wave in numbers."""
    outcome = Counter({str(word): int(count) for word, count in tally["by_outcome"].items()})
    phase = Counter({str(word): int(count) for word, count in tally["by_phase"].items()})
    others = ("already_current", "skipped", "cancelled")
    other = ", ".join(f"{outcome[word]} {words(word)}" for word in others if outcome[word])
    return (
        wave_name(tally),
        f"{sum(outcome.values())}/{tally['total']}",
        str(outcome["updated"]),
        str(outcome["failed"] + outcome["silent"]),
        str(outcome["deferred"]),
        str(phase["pending"] + phase["waiting"]),
        str(phase["reserved"] + phase["dispatched"] + phase["confirming"]),
        other or "0",
    )


def wave_name(tally: Record) -> str:
    """A wave's name; rollback waves say so."""
    text = str(tally["name"])
    back = int(tally["wave"]) >= ROLLBACK_BASE and "rollback" not in text.lower()
    return f"rollback of {text}" if back else text


def draw_slice(screen: Screen, done: Record) -> None:
    """Who is left out, and who could not be."""
    number = len(done["skipped"])
    screen.line(f"{counted(number, 'charger')} {'is' if number == 1 else 'are'} left out.")
    if done["refused"]:
        rows = [(str(one["charger_id"]), str(one["reason"])) for one in done["refused"]]
        screen.table((Column("STAYS"), Column("BECAUSE", fold=True)), rows, empty="")


def draw_targets(screen: Screen, rows: Sequence[Record], now: datetime) -> None:
    """Every charger of a campaign and where it stands."""
    columns = (
        Column("CHARGER"),
        Column("SITE", optional=True),
        Column("WAVE", right=True),
        Column("STATE"),
        Column("FROM", optional=True),
        Column("TO"),
        Column("TRY", right=True, optional=True),
        Column("SINCE", optional=True),
        Column("REASON", fold=True),
    )
    cells = [
        (
            str(row["charger_id"]),
            str(row["site_id"]),
            str(row["wave"]),
            words(row.get("outcome") or row["phase"]),
            str(row.get("from_version") or "-"),
            str(row["to_version"]),
            str(row.get("attempt", 0)),
            ago(row.get("finished_at") or row.get("dispatched_at"), now),
            str(row.get("reason") or ""),
        )
        for row in rows
    ]
    screen.table(columns, cells, empty="No chargers in this wave.")


def draw_standings(screen: Screen, rows: Sequence[Record], now: datetime) -> None:
    """Every charger in its one state."""
    columns = (
        Column("CHARGER"),
        Column("SITE", optional=True),
        Column("STATE"),
        Column("UNTIL", optional=True),
        Column("BECAUSE", fold=True),
        Column("NEXT", fold=True),
    )
    cells = [
        (
            str(row["charger_id"]),
            str(row["site_id"]),
            words(row["state"]),
            moment(row["deadline"], now) or "-",
            str(row["reason"]),
            str(row["next_action"]),
        )
        for row in rows
    ]
    screen.table(columns, cells, empty="No charger is in that state.")


def draw_outcomes(screen: Screen, rows: Sequence[Record]) -> None:
    """Where each kind of charger stands."""
    columns = (
        Column("OCPP"),
        Column("VENDOR"),
        Column("MODEL"),
        Column("CHARGERS", right=True),
        Column("STATES", fold=True),
    )
    cells = [
        (
            str(row["dialect"]) or "never connected",
            str(row["vendor"]),
            str(row["model"]),
            str(row["chargers"]),
            ", ".join(f"{count} {words(name)}" for name, count in row["by_standing"].items()),
        )
        for row in rows
    ]
    screen.table(columns, cells, empty="The campaign has no chargers.")


def gate_name(decision: Record, item: Record) -> str:
    """The name of the wave that a verdict is about."""
    names = {one["wave"]: wave_name(one) for one in item["waves"]}
    return names.get(decision["wave"], f"wave {decision['wave']}")


def _draw_decisions(
    screen: Screen, item: Record, decisions: Sequence[Record], now: datetime, called: str
) -> None:
    if not decisions:
        return
    from api.gate_evidence import IN_POINTS, compared, health_of

    columns = (
        Column("GATE OF"),
        Column("LOOK", right=True, optional=True),
        Column("VERDICT"),
        Column("WHEN", optional=True),
        Column("REASON", fold=True),
    )
    rows = [
        (
            gate_name(one, item),
            str(one["look"]),
            words(one["verdict"]),
            ago(one["decided_at"], now),
            str(one["reason"]),
        )
        for one in decisions
    ]
    screen.line()
    screen.table(columns, rows, empty="")
    screen.line()
    judged = [found for one in decisions if (found := health_of(one["result"]))]
    if any(map(compared, judged)):
        screen.line(IN_POINTS)
    if judged:
        screen.line(f"The numbers behind them: ampwave campaign verdicts {called}")
    screen.line(f"Recompute these from their stored inputs: ampwave campaign verify-verdict {called}")


def draw_verdicts(screen: Screen, item: Record, results: Sequence[Record]) -> None:
    """Which stored verdicts of the campaign ``item`` were reached again, bit for bit."""
    columns = (
        Column("GATE OF"),
        Column("LOOK", right=True),
        Column("KIND", optional=True),
        Column("VERDICT"),
        Column("RECOMPUTED"),
        Column("RESULT SHA-256", optional=True),
        Column("REASON", fold=True),
    )
    rows = [
        (
            gate_name(one, item),
            str(one["look"]),
            str(one["kind"]),
            words(one["verdict"]),
            "holds" if one["holds"] else "broken",
            short(one["result_sha256"]),
            "; ".join(one["differs"]) or str(one["reason"]),
        )
        for one in results
    ]
    screen.table(columns, rows, empty="No verdicts yet: no wave has come to its gate.")
    held = sum(1 for one in results if one["holds"])
    if held:
        screen.line()
        screen.line(f"{held} of {len(results)} verdicts follow from their stored inputs, bit for bit.")


def _planned(item: Record) -> str:
    lines = ["Planned waves:"]
    for wave in item["plan"]["waves"]:
        soak = float(wave.get("soak_seconds") or 0)
        extra = f", soaks {duration(soak)}" if soak else ""
        lines.append(f"  {wave['name']}: {100 * float(wave['share']):g} %{extra}")
    return "\n".join(lines)


def _approvals(item: Record) -> str:
    needed = item["plan"]["required_approvals"]
    names = ", ".join(str(one["actor"]) for one in item["approvals"])
    return f"{len(item['approvals'])} of {needed}" + (f": {names}" if names else ", nobody yet")
