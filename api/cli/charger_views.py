"""How chargers look on a terminal: lists, one charger, its timeline, the result of an import."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.cli.errors import Record
from api.cli.output import Column, Screen, ago, moment, size, words
from api.timeline_words import readings

_SHOWN_ROWS = 50
_QUIET = frozenset({"charger_id", "command_id", "node_id", "message_id", "samples", "values"})
_EITHER = frozenset({"active"})
"""What says as much by being false."""


def draw_import(screen: Screen, result: Record) -> None:
    """What became of the rows; refused ones with every problem."""
    verb = "would be registered" if result["dry_run"] else "registered"
    screen.line(
        f"{result['registered']} {verb}, {result['unchanged']} unchanged, {result['refused']} refused."
    )
    refused = [row for row in result["rows"] if row["result"] == "refused"]
    if not refused:
        return
    columns = (Column("ROW", right=True), Column("CHARGER"), Column("PROBLEM", fold=True))
    rows = [
        (str(row["row"]), str(row["charger_id"] or "-"), "; ".join(row["problems"]))
        for row in refused[:_SHOWN_ROWS]
    ]
    screen.line()
    screen.table(columns, rows, empty="")
    if len(refused) > _SHOWN_ROWS:
        screen.line(f"... and {len(refused) - _SHOWN_ROWS} more; --json has them all.")


def draw_registered(screen: Screen, charger: Record, password: str | None) -> None:
    """One new charger and how it connects."""
    screen.line(f"{charger['charger_id']} is registered at {charger['site_id']}.")
    if password:
        screen.line(f"Password (not shown again): {password}")
    screen.line(f"It connects to the csms at /ocpp/{charger['charger_id']}.")


def draw_list(
    screen: Screen, chargers: Sequence[Record], now: datetime, *, limit: int, filtered: bool
) -> None:
    """Chargers, one to a line."""
    columns = (
        Column("CHARGER"),
        Column("STATE"),
        Column("FIRMWARE"),
        Column("MODEL", fold=True),
        Column("SITE"),
        Column("HEARD", optional=True),
        Column("LIFECYCLE", optional=True),
        Column("SERIAL", optional=True),
    )
    rows = [
        (
            str(one["charger_id"]),
            words(one["state"]),
            str(one["firmware_version"] or "never told"),
            f"{one['vendor']}/{one['model']}",
            str(one["site_id"]),
            ago(one["last_message_at"], now),
            words(one["lifecycle"]),
            str(one["serial_number"] or "-"),
        )
        for one in chargers
    ]
    empty = (
        "No charger matches. Leave a filter out to see more."
        if filtered
        else "No chargers yet. Import some: ampwave charger import FILE.csv"
    )
    screen.table(columns, rows, empty=empty)
    if len(chargers) == limit:
        screen.line(f"The first {limit}; --limit shows more.")


def draw_counts(screen: Screen, counts: Record) -> None:
    """Groups, the largest first, and the rest in one line."""
    rates = any(group["attempted"] is not None for group in counts["groups"])
    columns = [Column(name.upper(), fold=True) for name in counts["by"]]
    columns += [Column(title, right=True) for title in ("CHARGERS", "ONLINE", *(_RATES if rates else ()))]
    rows = [(*map(_value, group["values"]), *_numbers(group, rates=rates)) for group in counts["groups"]]
    if counts["other"]:
        blanks = ("",) * (len(counts["by"]) - 1)
        rows.append((f"{counts['other_groups']} others", *blanks, *_numbers(counts["other"], rates=rates)))
    screen.table(columns, rows, empty="No charger matches.")
    if rows:
        screen.line(f"{counts['total']} chargers in all.")


_RATES = ("FAULTED", "OF", "FAILED UPDATES", "OF")


def _value(value: object) -> str:
    if value is None:
        return "(unknown)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(group: Record, *, rates: bool) -> tuple[str, ...]:
    names = ("count", "online", *(("faulted", "reporting", "failed", "attempted") if rates else ()))
    return tuple(str(group[name]) for name in names)


def draw_charger(screen: Screen, item: Record, now: datetime) -> None:
    """One charger with what it reported and what is being done to it."""
    twin = item["twin"]
    firmware = twin["firmware"] or {}
    connectivity = twin["connectivity"] or {}
    lease = item["maintenance"]
    screen.fields(
        [
            ("Charger", str(item["charger_id"])),
            ("State", words(item["state"])),
            ("Model", f"{item['vendor']}/{item['model']}" + _revision(item)),
            ("Site", str(item["site_id"])),
            *((name.capitalize().replace("_", " "), value) for name, value in item["ownership"].items()),
            *((name.capitalize().replace("_", " "), value) for name, value in item.get("terms", {}).items()),
            ("Who may charge", _access(item.get("policies") or {})),
            ("Serial", item["serial_number"]),
            ("Says it is", _otherwise(item)),
            ("Lifecycle", words(item["lifecycle"])),
            ("Set aside", _set_aside(item, now)),
            ("Firmware", _firmware(firmware)),
            ("Last boot", moment(firmware.get("booted_at"), now)),
            ("Update status", _update_status(firmware, now)),
            ("Connected", _connected(connectivity, now)),
            ("Heard", moment(item["last_message_at"], now) or "never"),
            ("Maintenance", f"{lease['kind']} by {lease['workflow_id']}" if lease else "none"),
        ]
    )
    screen.line()
    _draw_connectors(screen, twin["operation"], now)


def _access(policies: Record) -> str | None:
    """As far as it told: its local list and the digests of its settings."""
    version = policies.get("local_list_version")
    told = [] if version is None else ["no local list" if version < 0 else f"local list version {version}"]
    digests = ((name, policies.get(f"{name}_sha256")) for name in ("access", "charging"))
    told += [f"{name} settings {digest[:12]}" for name, digest in digests if digest]
    return ", ".join(told) or None


def _set_aside(item: Record, now: datetime) -> str | None:
    """Why it is in quarantine."""
    stay = item.get("set_aside")
    if not stay:
        return None
    told = f"{ago(stay['since'], now)} by {stay['actor']}: {stay['reason']}"
    return f"{told}; what to do: ampwave charger quarantine {item['charger_id']}"


def _otherwise(item: Record) -> str | None:
    """What it says of itself, where that is not what was registered."""
    told = item["twin"]["identity"]
    if told is None:
        return None
    model, serial = f"{told['vendor']}/{told['model']}", told["serial_number"]
    said = [model] if model != f"{item['vendor']}/{item['model']}" else []
    if serial is not None and item["serial_number"] not in (None, serial):
        said.append(f"serial {serial}")
    return f"{', '.join(said)}; see ampwave charger drift {item['charger_id']}" if said else None


def _draw_connectors(screen: Screen, operation: Mapping[str, Any] | None, now: datetime) -> None:
    operation = operation or {"connectors": {}, "transactions": {}}
    sessions = {f"{one['evse_id']}.{one['connector_id']}": one for one in operation["transactions"].values()}
    columns = (
        Column("CONNECTOR"),
        Column("STATUS"),
        Column("SINCE"),
        Column("SESSION", fold=True),
        Column("ERROR", fold=True, optional=True),
    )
    rows = [
        (
            str(key),
            str(one["status"]),
            ago(one["since"], now),
            _session(sessions.get(key), now),
            str(one["error_code"] or "-"),
        )
        for key, one in sorted(operation["connectors"].items())
    ]
    screen.table(
        columns, rows, empty="It has not reported its connectors yet, so nothing will be sent to it."
    )
    for key in sorted(set(sessions) - set(operation["connectors"])):
        screen.line(f"Session on {key}: {_session(sessions[key], now)}")


def draw_timeline(screen: Screen, events: Sequence[tuple[Record, int]], now: datetime) -> None:
    """Events with their facts, newest first; each with how many it stands for."""
    columns = (
        Column("WHEN"),
        Column("EVENT"),
        Column("FACTS", fold=True),
        Column("DEVICE TIME", optional=True),
    )
    rows = [
        (
            ago(one["received_at"], now),
            words(one["kind"]),
            _told(one) if count == 1 else f"the latest of {count} in this span",
            str(one["observed_at"])[:19].replace("T", " "),
        )
        for one, count in events
    ]
    screen.table(columns, rows, empty="Nothing yet: it has never connected.")


def _told(one: Record) -> str:
    """The facts of an entry; of a change what it changed, of an act who did it."""
    body, by = one["body"], f"by {one['actor']}" if one.get("actor") not in (None, "charger") else ""
    if one.get("source") == "twin":
        patch = json.dumps(body["patch"], ensure_ascii=False)
        parts = [f"{body['section']} {body['side']} {patch}", f"revision {one['revision']}", by]
    else:
        parts = [facts(body), by]
    return ", ".join(part for part in parts if part)


def facts(body: Mapping[str, Any]) -> str:
    """An event's fields in one line, without empty and bulky ones, and without what is not so."""
    if body.get("samples"):
        return readings(body)
    parts = [
        _fact(name.replace("_", " "), value)
        for name, value in body.items()
        if name not in _QUIET and value not in (None, "", [], {}) and (value is not False or name in _EITHER)
    ]
    count = len(body.get("values") or ())
    return ", ".join([*parts, *([f"{count} value{'' if count == 1 else 's'}"] if count else ())])


def _fact(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name} {value}"


def draw_command(screen: Screen, item: Record) -> None:
    """What a charger answered, or that it has not yet."""
    answer = item["answer"]
    if answer is None:
        screen.line(f"{item['charger_id']} has not answered {item['command']} yet.")
        screen.line(f"Command {item['command_id']}; its end will be in the audit log.")
        return
    screen.line(f"{item['charger_id']} answered {item['command']}: {answer['status']}")
    detail = str(item["reason"]).partition(": ")[2]
    if detail:
        screen.line(detail)
    returned = answer["returned"]
    if returned.get("values"):
        screen.table((Column("NAME", fold=True), Column("VALUE", fold=True)), returned["values"], empty="")
    if returned.get("items"):
        rows = [(one["name"], one["status"], one["detail"] or "-") for one in returned["items"]]
        screen.table(
            (Column("NAME", fold=True), Column("ANSWER"), Column("DETAIL", fold=True)), rows, empty=""
        )
    for one in returned.get("certificates", ()):
        screen.line(f"{one['use']}: {' '.join(f'{name} {value}' for name, value in one['hash'].items())}")
    screen.fields(
        [
            (name.replace("_", " ").capitalize(), str(returned[name]))
            for name in ("file_name", "list_version", "data")
            if name in returned
        ]
    )


def draw_logs(screen: Screen, items: Sequence[Record], now: datetime) -> None:
    """Logs that were asked for, newest first."""
    columns = (
        Column("LOG", right=True),
        Column("KIND"),
        Column("STATE"),
        Column("ASKED"),
        Column("BY", fold=True),
        Column("FILE", fold=True),
        Column("SIZE", right=True),
        Column("REASON", fold=True, optional=True),
    )
    rows = [
        (
            str(one["log_id"]),
            str(one["kind"]),
            words(one["state"]),
            ago(one["requested_at"], now),
            str(one["actor"]),
            str(one["upload"]["filename"]) if one["upload"] else "-",
            _size_of_log(one["upload"]),
            str(one["reason"]),
        )
        for one in items
    ]
    screen.table(columns, rows, empty="Nobody has asked it for a log yet.")


def _size_of_log(upload: Record | None) -> str:
    if upload is None:
        return "-"
    return "removed" if upload.get("removed_at") else size(upload["length"])


def draw_log(screen: Screen, item: Record, file: object) -> None:
    """A log that was fetched."""
    upload = item["upload"]
    screen.line(f"{file}: {size(upload['length'])}, SHA-256 {upload['sha256']}")


def _revision(item: Record) -> str:
    return f" (rev. {item['hardware_revision']})" if item["hardware_revision"] else ""


def _firmware(firmware: Mapping[str, Any]) -> str:
    if not firmware.get("version"):
        return "never told"
    before = firmware.get("previous_version")
    return f"{firmware['version']}" + (f", before that {before}" if before else "")


def _update_status(firmware: Mapping[str, Any], now: datetime) -> str | None:
    if not firmware.get("status"):
        return None
    return f"{firmware['status']} ({ago(firmware['status_at'], now)})"


def _connected(connectivity: Mapping[str, Any], now: datetime) -> str:
    if not connectivity:
        return "never"
    if not connectivity["online"]:
        return "no" + (f", since {moment(connectivity['since'], now)}" if connectivity["since"] else "")
    return (
        f"{connectivity['dialect']} on {connectivity['node_id']}, since {moment(connectivity['since'], now)}"
    )


def _session(transaction: Mapping[str, Any] | None, now: datetime) -> str:
    if transaction is None:
        return "-"
    state = transaction["charging_state"] or "open"
    suspect = ", to be reconciled" if transaction["suspect"] else ""
    return f"{transaction['transaction_id']}: {state}, {ago(transaction['started_at'], now)}{suspect}"


def draw_downloads(screen: Screen, downloads: Sequence[Record], now: datetime) -> None:
    """How far a charger got, one ticket to a line."""
    columns = (
        Column("IMAGE"),
        Column("STATE"),
        Column("GOT", right=True),
        Column("OF", right=True),
        Column("LAST BYTE"),
        Column("REQUESTS", right=True, optional=True),
        Column("TICKET UNTIL", optional=True),
    )
    rows = [
        (
            str(one["artifact_id"])[:12],
            words(one["state"]),
            f"{one['position'] * 100 // one['length']} %" if one["length"] else "-",
            size(one["length"]) if one["length"] else "-",
            ago(one["seen_at"], now) if one["seen_at"] else "never",
            str(one["requests"]),
            moment(one["valid_until"], now) or "-",
        )
        for one in downloads
    ]
    screen.table(columns, rows, empty="It was never sent for firmware.")
