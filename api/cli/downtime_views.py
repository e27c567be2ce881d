"""Planned downtime on the screen: of one charger with what spent it, of a site charger by charger."""

from collections.abc import Sequence
from datetime import datetime

from api.cli import documents
from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, parse_time
from api.downtime_words import balance, purpose, room, span


def taking(text: str | None) -> int | None:
    """What an update may take, in whole seconds; None: as the api has it. Raises WrongUse."""
    if text is None:
        return None
    try:
        return max(1, round(documents.seconds(text)))
    except ValueError:
        raise WrongUse(f"--takes: {text!r} is no length of time.", hint="Write it as in 45m or 2h.") from None


def draw_charger(screen: Screen, found: Record) -> None:
    """The balance, whether an update fits, and what spent it."""
    screen.line(f"{found['charger_id']}: {_balance(found)}")
    screen.line(_room(found))
    columns = (
        Column("FROM"),
        Column("TO"),
        Column("COUNTED", right=True),
        Column("AWAY FOR", fold=True),
    )
    rows = [
        (
            _at(one["began"]),
            "now" if one["lasts"] else _at(one["ended"]),
            span(one["counted_s"]),
            purpose(one["kind"], one["campaign_id"]),
        )
        for one in found["bookings"]
    ]
    screen.table(columns, rows, empty="Nothing spent any in this period.")


def draw_site(screen: Screen, found: Sequence[Record]) -> None:
    """A line per charger, who has the least left first."""
    columns = (
        Column("CHARGER"),
        Column("SPENT", right=True),
        Column("LEFT", right=True),
        Column("UPDATE FITS"),
        Column("LATEST FOR", fold=True, optional=True),
    )
    rows = [
        (
            one["charger_id"],
            span(one["spent_s"]),
            "unbounded" if one["left_s"] is None else span(one["left_s"]),
            _fits(one),
            purpose(one["bookings"][-1]["kind"], one["bookings"][-1]["campaign_id"])
            if one["bookings"]
            else "-",
        )
        for one in sorted(found, key=_least_left)
    ]
    screen.table(columns, rows, empty="It has no chargers.")


def _least_left(one: Record) -> tuple[float, float, str]:
    left = float("inf") if one["left_s"] is None else float(one["left_s"])
    return left, -float(one["spent_s"]), str(one["charger_id"])


def _balance(one: Record) -> str:
    return balance(one["uptime_floor"], one["uptime_days"], one["allowed_s"], one["spent_s"], one["left_s"])


def _room(one: Record) -> str:
    return room(one["takes_s"], parse_time(one["room_from"]), _time(one["at"]))


def _fits(one: Record) -> str:
    at = parse_time(one["room_from"])
    if at is None:
        return "never"
    return "now" if at <= _time(one["at"]) else f"from {at:%Y-%m-%d %H:%M} UTC"


def _at(text: object) -> str:
    return f"{_time(text):%Y-%m-%d %H:%M} UTC"


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
