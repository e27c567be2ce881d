"""A plan on a terminal, in one block: what people approve when they say yes to exactly this."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from api.cli.errors import CliError, Record
from api.cli.output import counted, duration, parse_time, short, words
from api.cli.references import segment

if TYPE_CHECKING:
    from api.cli.http import Api

_NAMED = 3
_AT_THE_END = {
    "pause": "then a person decides",
    "roll_back": "then updated chargers go back",
    "roll_back_failed": "then those that failed go back",
}
Pairs = list[tuple[str, str | None]]


def images_of(api: "Api", campaign: Record) -> dict[str, str]:
    """What a plan installs and goes back to as ``ROLE/VERSION``; one that cannot be read stays out."""
    found = {}
    for name in ("artifact_id", "rollback_artifact_id"):
        if image := campaign["plan"].get(name):
            try:
                item = api.get(f"/artifacts/{segment(image)}")
            except CliError:
                continue
            found[str(image)] = f"{item['vendor_role']}/{item['version']}"
    return found


def plan_fields(item: Record, images: Mapping[str, str]) -> Pairs:
    """Names and values; what the plan does not ask for is left out, but never a missing way back."""
    plan = item["plan"]
    return [
        ("Image", _image(plan["artifact_id"], images)),
        ("Way back", _way_back(plan, images)),
        ("Targets", _targets(plan.get("targets") or {})),
        ("Waves", "; ".join(_wave(each) for each in plan["waves"])),
        ("Gate", _gate(plan.get("gate") or {})),
        ("Pace", _pace(plan.get("pace") or {})),
        ("Windows", _windows(plan)),
        ("Starts", f"{minute(plan['start_at'])} at the earliest" if plan.get("start_at") else None),
        ("Ends", _ends(item)),
        ("Besides", "; ".join(_besides(plan)) or None),
    ]


def wanted(plan: Record) -> str:
    """How many people have to say yes, when, and why so many. ``plan`` may be one as it is sent, too."""
    needed, back = int(plan.get("required_approvals") or 1), plan.get("rollback_artifact_id")
    text = f"{needed} before it starts, of people other than its author"
    text += " (a way back asks for 2 at least)" if back and needed == 2 else ""
    voters = [(each["name"], _voters(each)) for each in plan.get("waves") or ()]
    return "; ".join([text, *(f"{count} before wave {name}" for name, count in voters if count)])


def minute(text: str | None) -> str:
    """A time without its seconds, in UTC."""
    then = parse_time(text)
    return f"{then:%Y-%m-%d %H:%M}Z" if then else "-"


def _image(image: object, images: Mapping[str, str]) -> str:
    return images.get(str(image)) or short(image)


def _way_back(plan: Record, images: Mapping[str, str]) -> str:
    back = plan.get("rollback_artifact_id")
    return _image(back, images) if back else "none: if it is stopped, updated chargers stay as they are"


def _targets(targets: Record) -> str:
    names = [str(each) for each in targets.get("charger_ids") or ()]
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    wanted_online = targets.get("online")
    online = None if wanted_online is None else "online" if wanted_online else "offline"
    told = [
        *(f"{label} {targets[name]}" for name, label in _FILTERS.items() if targets.get(name)),
        *([online] if online else []),
        *([listed] if names else []),
    ]
    return ", ".join(told) or "all chargers"


_FILTERS = {
    "vendor": "vendor",
    "model": "model",
    "site_id": "site",
    "firmware_version": "firmware",
    "query": "query",
}


def _wave(wave: Record) -> str:
    """Who is in it, and what it has of its own."""
    told = [f"{wave['name']} {_members(wave)}"]
    told += [f"soaks {duration(float(wave['soak_seconds']))}"] if wave.get("soak_seconds") else []
    told += [label.format(wave[name]) for name, label in _OWN.items() if wave.get(name) is not None]
    if wave.get("max_failure_share") is not None:
        told.append(f"{100 * float(wave['max_failure_share']):g} % may fail")
    told += [f"approved by {count}"] if (count := _voters(wave)) else []
    return ", ".join(told)


_OWN = {
    "window": "{} at once",
    "min_attempts": "gate from {} attempts on",
    "early_stop_failures": "{} failures stop it",
}


def _members(wave: Record) -> str:
    if wave.get("charger_ids"):
        return f"{len(wave['charger_ids'])} named"
    if wave.get("count"):
        part = str(wave["count"])
    else:
        part = f"{100 * float(wave.get('share') or 0):g} %" if wave.get("share") else "all"
    return f"{part} of {wave['query']}" if wave.get("query") else part


def _voters(wave: Record) -> int:
    return int(wave.get("approvals") or (1 if wave.get("needs_approval") else 0))


def _gate(gate: Record) -> str | None:
    if not gate:
        return None
    stop, least = gate.get("early_stop_failures"), counted(gate["min_attempts"], "attempt")
    told = [
        _health(gate.get("health")),
        f"{100 * float(gate['max_failure_share']):g} % may fail, from {least} on",
        *([f"{counted(stop, 'failure')} {'stops' if stop == 1 else 'stop'} it"] if stop else []),
        f"a person after {counted(gate['max_looks'], 'look')}, {duration(float(gate['hold_seconds']))} apart",
    ]
    return "; ".join(told)


def _health(health: Record | str | None) -> str:
    """A shipped policy by its name. One that only bears such a name is told apart: anybody can write that."""
    if not isinstance(health, dict):
        return f"health {health}" if health else "outcomes only"
    from storage.canonical import canonical_json
    from workflows.gate.policies import POLICIES

    known = POLICIES.get(str(health.get("name")))
    shipped = json.loads(canonical_json(known)) if known else {}
    if shipped and all(shipped.get(name) == value for name, value in health.items()):
        return f"health {health['name']}"
    signals = len(health.get("signals") or ())
    return f"health by a policy of its own called {health.get('name')!r}, with {signals} signals"


def _pace(pace: Record) -> str | None:
    if not pace:
        return None

    def lasts(name: str) -> str:
        return duration(float(pace[name]))

    ramp, ahead, steady = pace.get("ramp"), pace.get("download_ahead_seconds"), pace.get("steady_seconds")
    told = [
        f"{pace['window']} at once of each {pace['shard_size']}",
        *([f"{ramp['start']} at first, times {ramp['factor']:g} every {ramp['every']}"] if ramp else []),
        f"{counted(pace['max_attempts'], 'attempt')} of {lasts('attempt_deadline_seconds')}",
        *([f"up for {lasts('steady_seconds')} before it counts"] if steady else []),
        *([f"images up to {lasts('download_ahead_seconds')} ahead"] if ahead else []),
        f"a wave closes after {lasts('wave_deadline_seconds')}",
    ]
    return "; ".join(told)


def _windows(plan: Record) -> str | None:
    told = []
    for each in plan.get("windows") or ():
        days = each.get("days") or ()
        told.append(f"{each['opens']} to {each['closes']}" + (f" {' '.join(days)}" if len(days) < 7 else ""))
    return f"{', '.join(told)}, on each site's clock" if told else None


def _ends(item: Record) -> str | None:
    """Until when something new is sent, and what happens then."""
    if not item.get("ends_at"):
        return None
    behaviour = _AT_THE_END.get(str(item["plan"].get("end_behaviour")), "then it stops")
    return f"{minute(str(item['ends_at']))}, {behaviour}"


def _besides(plan: Record) -> list[str]:
    """Whatever else a plan asks for: who says yes has seen it."""
    edges, links = plan.get("edges") or (), plan.get("links") or ()
    return [
        *(label.format(plan[name]) for name, label in _BESIDES.items() if plan.get(name) is not None),
        *([f"only by {', '.join(links)}"] if links else []),
        *(["only where the configuration was read"] if plan.get("needs_configuration") else []),
        *([f"late joiners: {words(plan['late_joiners'])}"] if plan.get("late_joiners") else []),
        *(_edge(each) for each in edges),
    ]


_BESIDES = {
    "rehearse_rollback": "{} of the first wave rehearse the way back",
    "after": "after campaign {}",
    "priority": "priority {}",
    "max_price": "no site with a tariff above {:g}",
    "one_way_waiver": "models that cannot go back are accepted: {}",
}


def _edge(edge: Record) -> str:
    way = f"via {edge['via']}" if edge.get("via") else f"not where {edge.get('risk')}"
    return f"from {edge.get('from_version', '*')} {way}" + (
        f" ({edge['reason']})" if edge.get("reason") else ""
    )
