"""How a firmware passport looks. What it says was signed; it is shown as it stands, and nothing is judged."""

from typing import Any

from api.cli.output import Column, Screen

_SHOWN = 20
"""Lines of each list; ``--json`` has all of them."""


def draw_passport(screen: Screen, said: dict[str, Any]) -> None:
    """The whole passport, each list from its newest line."""
    made, now, ended = said.get("made") or {}, said.get("firmware_now"), said.get("retirement")
    rows = [
        ("Signed", f"{_time(made.get('at'))} for {made.get('for')}: {made.get('reason')}"),
        ("Runs", f"{now['version']}, booted {_time(now['booted_at'])}" if now else "it never told"),
    ]
    if ended:
        receipt = f", receipt {ended['receipt_sha256'][:12]}" if ended.get("receipt_sha256") else ""
        when = (
            f"{ended['state']}, {_time(ended['retired_at'])}" if ended.get("retired_at") else ended["state"]
        )
        rows.append(("Retirement", f"{when}: {ended['reason']}; memory {ended['memory']}{receipt}"))
    screen.fields(rows)
    left = said.get("older_left_out") or {}
    for title, name, columns, row in _LISTS:
        lines = said.get(name) or []
        screen.line("")
        screen.line(
            f"{title}: {len(lines)}{', and older ones that are not in here' if left.get(name) else ''}"
        )
        if lines:
            screen.table(columns, [row(each) for each in lines[:_SHOWN]], empty="")
        if len(lines) > _SHOWN:
            screen.line(f"{len(lines) - _SHOWN} older lines are in the file: --json shows them.")


def _update(each: dict[str, Any]) -> list[str]:
    metadata, proof = each.get("metadata") or {}, each.get("proof")
    approved = ", ".join(one["actor"] for one in each["plan"]["approved_by"])
    signed = ", ".join(one["signer"] for one in metadata.get("signed_by", ()))
    verdicts = ", ".join(one["verdict"] for one in each["verdicts"])
    proven = f"{proof['kind'].replace('_', ' ')} {_time(proof['received_at'])}" if proof else "none is kept"
    return [
        _time(each["finished_at"]),
        f"{each['from_version'] or '?'} to {each['to_version']}",
        str(each["outcome"]).replace("_", " "),
        each["image"]["sha256"][:12],
        f"{metadata['role']} {metadata['version']}" if metadata else "",
        signed,
        approved,
        verdicts,
        proven,
    ]


def _version(each: dict[str, Any]) -> list[str]:
    return [_time(each["received_at"]), each["version"], each["kind"].replace("_", " ")]


def _certificate(each: dict[str, Any]) -> list[str]:
    why = f": {each['revoked_because']}" if each.get("revoked_because") else ""
    return [
        each["serial"][:16],
        each["phase"] + why,
        _time(each["not_before"]),
        _time(each["not_after"]),
        _time(each["proven_at"]),
    ]


def _move(each: dict[str, Any]) -> list[str]:
    changed = [
        f"{name} {each['before'].get(name) or '-'} to {to or '-'}" for name, to in each["after"].items()
    ]
    at = each["finished_at"] or each["requested_at"]
    return [_time(at), each["state"], ", ".join(changed), f"{each['actor']}: {each['reason']}"]


def _time(text: str | None) -> str:
    return "-" if not text else text[:19].replace("T", " ")


_LISTS = (
    (
        "Updates",
        "updates",
        (
            Column("Finished (UTC)"),
            Column("Version"),
            Column("Outcome"),
            Column("Image"),
            Column("Metadata", optional=True),
            Column("Signed by", fold=True),
            Column("Approved by", fold=True),
            Column("Verdicts", fold=True),
            Column("Proof", fold=True),
        ),
        _update,
    ),
    (
        "Versions that it told",
        "versions",
        (Column("First told (UTC)"), Column("Version"), Column("How")),
        _version,
    ),
    (
        "Certificates",
        "certificates",
        (
            Column("Serial"),
            Column("State", fold=True),
            Column("From"),
            Column("Until"),
            Column("Came with it"),
        ),
        _certificate,
    ),
    (
        "Moves",
        "moves",
        (Column("When (UTC)"), Column("State"), Column("What", fold=True), Column("Who", fold=True)),
        _move,
    ),
)
