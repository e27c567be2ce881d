# long-file: every command of one group, in the order of a campaign's life
"""``ampwave campaign``: plan, approve, watch and stop rollouts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import campaign_standings, documents
from api.cli import campaign_views as views
from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Screen, counted, words
from api.cli.plan_flags import Flags, body_of, plan_of
from api.cli.plan_reasons import with_lines
from api.cli.plan_views import images_of
from api.cli.references import CAMPAIGN_HELP, called, campaign_id, segment
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from api.cli.approval import SigningApproval
    from signing.release import Release

app = group("Plan, approve, watch and stop rollouts.")

Reference = Annotated[str, typer.Argument(metavar="CAMPAIGN", help=CAMPAIGN_HELP)]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A plan as YAML or JSON, or leave it out and use flags."),
]
Artifact = Annotated[str | None, typer.Option(metavar="ARTIFACT", help="What to install: ROLE/VERSION.")]
Model = Annotated[str | None, typer.Option(metavar="VENDOR/MODEL", help="Only chargers of this model.")]
Query = Annotated[
    str | None,
    typer.Option("--query", "-q", metavar="QUERY", help="Only chargers that match; docs/QUERY.md."),
]
Waves = Annotated[str | None, typer.Option(metavar="WAVES", help='As in "canary:5%,half:45%,rest:50%".')]
Back = Annotated[
    str | None, typer.Option(metavar="ARTIFACT", help="Where updated chargers go back to if it is stopped.")
]
Name = Annotated[str | None, typer.Option(metavar="TEXT", help="[default: the artifact's]")]


@command(app, "plan")
def plan(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    file: File = None,
    artifact: Artifact = None,
    model: Model = None,
    query: Query = None,
    waves: Waves = None,
    rollback_to: Back = None,
    name: Name = None,
    chargers: Annotated[
        bool, typer.Option("--chargers", help="Every charger: its wave and earliest time, or why not.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="With --chargers: at most so many.")] = 1000,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Replay it against recorded sessions and connectivity.")
    ] = False,
    runs: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Replays of --simulate.")] = 100,
) -> None:
    """Show what a plan would do, charger by charger. No campaign is made."""
    written = plan_of(file, Flags(artifact, waves, model, query, rollback_to, name))
    body = body_of(session, written)
    _tell_calibration(session, body)
    with with_lines(written.places):
        _show_plan(session, body, file, chargers=limit if chargers else None, runs=runs if simulate else None)


def _show_plan(
    session: Session, body: Record, file: Path | None, *, chargers: int | None, runs: int | None
) -> None:
    """A preview, its first chargers, or a forecast of so many runs."""
    if runs is not None:
        from api.cli.forecasts import PATIENCE_S, draw_forecast

        session.note("Replaying recorded weeks; large fleets take minutes.")
        path, params = "/campaigns/plan/simulate", {"runs": str(runs)}
        found = session.api.post(path, body, params=params, patience_s=PATIENCE_S)
        names = [str(wave["name"]) for wave in body["waves"]]
        session.show(found, lambda screen: draw_forecast(screen, found, names))
        return
    if chargers is not None:
        rows = list(session.api.post_pages("/campaigns/plan/chargers", body, chargers))
        session.show(rows, lambda screen: views.draw_planned(screen, rows))
        return
    preview = session.api.post("/campaigns/plan", body)
    step = f"run: ampwave campaign create {file}" if file else "run the same with `create` instead of `plan`."
    session.show(preview, lambda screen: views.draw_preview(screen, body, preview, step))


@command(app, "create", posts=True)
def create(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    file: File = None,
    artifact: Artifact = None,
    model: Model = None,
    query: Query = None,
    waves: Waves = None,
    rollback_to: Back = None,
    name: Name = None,
) -> None:
    """Freeze a plan and its chargers as a campaign. It starts once it is approved."""
    written = plan_of(file, Flags(artifact, waves, model, query, rollback_to, name))
    body = body_of(session, written)
    with with_lines(written.places):
        campaign = session.api.post("/campaigns", body)
    _show_new(session, campaign)


@command(app, "follow-up", posts=True)
def follow_up(session: Session, campaign: Reference) -> None:
    """Open a campaign for chargers that match since this one froze its cohort. It waits for approvals."""
    opened = session.api.post(f"{_path(session, campaign)}/follow-up")
    _show_new(session, opened)


@command(app, "list")
def list_(
    session: Session, limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 50
) -> None:
    """List campaigns, newest first."""
    campaigns = list(session.api.pages("/campaigns", limit))
    session.show(campaigns, lambda screen: views.draw_list(screen, campaigns, session.clock()))


@command(app, "show")
def show(session: Session, campaign: Reference) -> None:
    """Show a campaign: its plan, waves, approvals and decisions."""
    path = _path(session, campaign)
    found = session.api.get(path)
    decisions = session.api.get(f"{path}/decisions")["items"]

    session.show(
        {**found, "decisions": decisions},
        lambda screen: views.draw_campaign(
            screen,
            found,
            session.clock(),
            images=images_of(session.api, found),
            decisions=decisions,
            called=called(session.api, found),
        ),
    )


@command(app, "targets")
def targets(
    session: Session,
    campaign: Reference,
    wave: Annotated[
        int | None, typer.Option(metavar="N", help="Only this wave; 1000 and up roll back.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 1000,
) -> None:
    """List a campaign's chargers and where each of them stands."""
    rows = list(session.api.pages(f"{_path(session, campaign)}/targets", limit, wave=wave))
    session.show(rows, lambda screen: views.draw_targets(screen, rows, session.clock()))


campaign_standings.attach(app)


@command(app, "directive")
def directive(
    session: Session,
    campaign: Reference,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the envelope.")],
    wave: Annotated[int, typer.Option(min=0, metavar="N", help="1000 and up roll back.")] = 0,
    shard: Annotated[int, typer.Option(min=0, metavar="N", help="Of that wave.")] = 0,
) -> None:
    """Fetch the signed directive of a wave, to prove it with: ampwave tuf verify --directive FILE."""
    found = session.api.get(f"{_path(session, campaign)}/directives/{wave}/{shard}")
    try:
        out.write_text(json.dumps(found["envelope"]) + "\n")
    except OSError as error:
        raise WrongUse(f"{out} cannot be written: {error.strerror}.") from error
    session.show(found, lambda screen: screen.line(f"{found['directive_id']} is in {out}."))


@command(app, "approve", posts=True)
def approve(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    campaign: Reference,
    digest: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Approve only if the plan still has this digest.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Sign it with your own key, as in file2:ada.pem.")
    ] = None,
    keyid: Annotated[
        str | None, typer.Option(metavar="ID", help="Which key, where the address cannot tell.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own root.json. [default: from the settings]")
    ] = None,
    yes: Yes = False,
) -> None:
    """Say yes to a campaign. The approval holds for exactly this plan and these chargers.

    With --key this machine computes the digest itself, from the plan and the chargers, and signs that.
    """
    path = _path(session, campaign)
    found = session.api.get(path)
    wanted = digest or str(found["plan_digest"])
    if not str(found["plan_digest"]).startswith(wanted):
        raise CliError(
            "The plan is not the one you reviewed.",
            [f"you named {wanted}", f"it has   {found['plan_digest']}"],
            hint="Look at it again: ampwave campaign show",
        )
    if not session.json:
        images = images_of(session.api, found)
        views.draw_campaign(session.screen, found, session.clock(), images=images)
    body = {"plan_digest": found["plan_digest"]}
    signing = _signing(session, found, (key, keyid, root)) if key else None
    session.confirm(f"Approve {views.name(found)} for {counted(found['cohort_size'], 'charger')}?", yes=yes)
    if signing is not None:
        body["evidence"] = signing.sign()
    answer = session.api.post(f"{path}/approve", body)
    session.show(answer, lambda screen: screen.line(_approved(session, found, answer)))


@command(app, "pause", posts=True)
def pause(session: Session, campaign: Reference) -> None:
    """Start no more updates. Those that were sent come to their end."""
    _act(session, campaign, "pause", None, "pausing; `ampwave campaign resume` goes on")


@command(app, "resume", posts=True)
def resume(session: Session, campaign: Reference) -> None:
    """Go on with a paused campaign."""
    _act(session, campaign, "resume", None, "going on", goes=True)


@command(app, "abort", posts=True)
def abort(
    session: Session,
    campaign: Reference,
    reason: Why,
    rollback: Annotated[
        bool, typer.Option("--rollback/--no-rollback", help="Bring updated chargers back to what they had.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Stop a campaign for good, with or without rolling back."""
    what = "Stop it and roll back" if rollback else "Stop it, leaving updated chargers as they are"
    session.confirm(f"{what}: {campaign}?", yes=yes)
    _act(session, campaign, "abort", {"rollback": rollback, "reason": reason}, "stopping")


@command(app, "proceed", posts=True)
def proceed(session: Session, campaign: Reference, reason: Why) -> None:
    """Let a held gate pass. Your reason stands in the audit log."""
    _act(session, campaign, "proceed", {"reason": reason}, "going on past the gate", goes=True)


@command(app, "extend", posts=True)
def extend(
    session: Session,
    campaign: Reference,
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="With its zone: 2026-12-24T18:00:00+01:00.")
    ],
    reason: Why,
) -> None:
    """Give a campaign a later end than its plan's. Its author cannot.

    One that its end had paused goes on with: ampwave campaign resume
    """
    _act(session, campaign, "extend", {"ends_at": _instant(until), "reason": reason}, f"it ends at {until}")


@command(app, "skip", posts=True)
def skip(
    session: Session,
    campaign: Reference,
    charger: Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")],
    reason: Why,
) -> None:
    """Take one charger out of a campaign, if nothing was sent to it yet."""
    _act(session, campaign, "skip", {"charger_id": charger, "reason": reason}, f"{charger} is left out")


@command(app, "recall", posts=True)
def recall(
    session: Session,
    campaign: Reference,
    charger: Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")],
    reason: Why,
) -> None:
    """Take one charger out although its update is under way. Refused once it installs.

    Its download is cut off at once, and it is told to stop until its answer is known; `ampwave campaign
    targets` shows what is known of it and what became of it.
    """
    _act(session, campaign, "recall", {"charger_id": charger, "reason": reason}, f"{charger} is called back")
    session.note(f"What is known of it: ampwave campaign targets {campaign}")


@command(app, "exclude", posts=True)
def exclude(
    session: Session,
    campaign: Reference,
    query: Annotated[
        str, typer.Option("--query", "-q", metavar="QUERY", help='As in "hardware = B2"; docs/QUERY.md.')
    ],
    reason: Why,
    yes: Yes = False,
) -> None:
    """Take a slice of the fleet out of a campaign: who matches now and was sent nothing yet."""
    path = _path(session, campaign)
    session.confirm(f"Take every charger out of {campaign} that matches {query}?", yes=yes)
    done = session.api.post(f"{path}/skip-matching", {"query": query, "reason": reason})
    session.show(done, lambda screen: views.draw_slice(screen, done))


@command(app, "forecast")
def forecast(session: Session, campaign: Reference) -> None:
    """Compare what was forecast of a campaign with what became of it."""
    from api.cli.forecasts import draw_compared

    found = session.api.get(f"{_path(session, campaign)}/forecast")
    session.show(found, lambda screen: draw_compared(screen, found))


@command(app, "verdicts")
def verdicts(
    session: Session,
    campaign: Reference,
    signal: Annotated[
        str | None, typer.Option(metavar="SIGNAL", help="Plot this one instead of those that decide.")
    ] = None,
    models: Annotated[bool, typer.Option("--models", help="Show the numbers of each model, too.")] = False,
) -> None:
    """Show what the gates judged health by: the numbers, who decided, and each signal over the looks."""
    from api.cli.evidence_views import draw_evidence

    path = _path(session, campaign)
    decisions = session.api.get(f"{path}/decisions")["items"]
    session.show(decisions, lambda screen: draw_evidence(screen, decisions, signal, models=models))


@command(app, "verify-verdict")
def verify_verdict(
    session: Session,
    campaign: Annotated[str | None, typer.Argument(metavar="[CAMPAIGN]", help=CAMPAIGN_HELP)] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `campaign show --json` wrote; needs no api.")
    ] = None,
) -> None:
    """Recompute a campaign's verdicts here, from their stored inputs. Exit code 0 only if all hold."""
    from api.cli.verdicts import check_all, read_decisions

    if (campaign is None) == (file is None):
        raise WrongUse("Name a campaign or give --file, one of the two.")
    shown: Record = {"waves": []}
    if file is not None:
        found_id, decisions = read_decisions(file)
    else:
        found_id = campaign_id(session.api, campaign or "")
        shown = session.api.get(f"/campaigns/{segment(found_id)}")
        decisions = session.api.get(f"/campaigns/{segment(found_id)}/decisions")["items"]
    results = check_all(found_id, decisions)
    session.show(results, lambda screen: views.draw_verdicts(screen, shown, results))
    if broken := [one for one in results if not one["holds"]]:
        raise CliError(f"{len(broken)} of {len(results)} verdicts do not follow from their inputs.")
    if file is not None and not results:
        raise CliError(f"{file} holds no verdict, so nothing was proven.")


@command(app, "watch")
def watch(
    session: Session,
    campaign: Reference,
    interval: Annotated[float, typer.Option(min=0.01, metavar="SECONDS", help="Between two looks.")] = 1.0,
) -> None:
    """Follow a campaign until it ends. Exit code 0 only if it completed."""
    from api.cli.watch import follow

    last = follow(session, _path(session, campaign), interval)
    if last["phase"] != "completed":
        raise CliError(
            f"{views.name(last)} ended as {words(last['phase'])}.",
            [str(last["reason"])] if last["reason"] else [],
        )


def _act(
    session: Session, campaign: str, verb: str, body: Record | None, said: str, *, goes: bool = False
) -> None:
    path = _path(session, campaign)
    answer = session.api.post(f"{path}/{verb}", body)
    stops = answer.get("stopped_by") or () if goes else ()

    def draw(screen: Screen) -> None:
        screen.line(f"{campaign}: {said}{', but nothing is sent yet:' if stops else '.'}")
        for stop in stops:
            screen.line(f"  {views.stopped(stop)}")

    session.show(answer, draw)


def _show_new(session: Session, campaign: Record) -> None:
    """A campaign that was just made."""

    def draw(screen: Screen) -> None:
        images = images_of(session.api, campaign)
        name = called(session.api, campaign)
        for warning in campaign.get("warnings") or ():
            screen.line(f"Warning: {warning}")
        views.draw_campaign(screen, campaign, session.clock(), images=images, called=name)

    session.show(campaign, draw)


def _instant(text: str) -> str:
    try:
        return documents.instant(text)
    except ValueError:
        hint = "Write it as in 2026-12-24T18:00:00+01:00."
        raise WrongUse(f"--until {text!r} is not a time with its zone.", hint=hint) from None


def _signing(
    session: Session, found: Record, given: tuple[str, str | None, Path | None]
) -> "SigningApproval":
    from api.cli.approval import prepare
    from api.cli.credentials import load_settings
    from api.cli.repository import read_root

    key, keyid, root = given
    trusted = read_root(root or load_settings().trusted_root_path)
    prepared = prepare(session.api, found, trusted, session.clock(), (key, keyid))
    session.note(f"You sign as {prepared.statement.actor}, until {prepared.statement.not_after:%Y-%m-%d}:")
    chargers = counted(prepared.chargers, "charger")
    session.note(f"  campaign {prepared.statement.campaign_id}, {chargers}, counted here")
    session.note(f"  image    {_image(prepared.image)}")
    session.note(f"  back to  {_image(prepared.back) if prepared.back else 'nothing'}")
    return prepared


def _image(release: "Release") -> str:
    return f"{release.path}, release counter {release.release_counter}, {release.sha256[:12]}"


def _approved(session: Session, before: Record, after: Record) -> str:
    """What an approval brought; the list of them may lag behind by a moment."""
    needed = int(after["plan"]["required_approvals"])
    have = max(len(before["approvals"]) + 1, len(after["approvals"]))
    if have < needed:
        return f"{views.name(after)}: approved, {have} of {needed}. It waits for somebody else's yes."
    return (
        f"{views.name(after)}: approved. Follow it with: ampwave campaign watch {called(session.api, after)}"
    )


def _tell_calibration(session: Session, body: Record) -> None:
    """What the policy that a plan names did on simulated fleets."""
    from api.calibration import calibrated

    name = body.get("gate", {}).get("health")
    if isinstance(name, str) and (told := calibrated(name)):
        session.note(told)


def _path(session: Session, campaign: str) -> str:
    return f"/campaigns/{segment(campaign_id(session.api, campaign))}"
