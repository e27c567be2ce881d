"""Planned downtime in words, the same for the command line and for pages (X13). Pure, and light to import."""

from datetime import datetime


def span(seconds: float) -> str:
    """A length of time, cut to the minute: ``40 s``, ``45 min``, ``21 h 36 min``."""
    seconds = round(seconds, 3)  # differences of floats lack a trillionth of a second
    if 0 < seconds < 60:
        return f"{max(1, int(seconds))} s"
    hours, minutes = divmod(int(seconds // 60), 60)
    if hours < 2:
        return f"{60 * hours + minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def balance(floor: float | None, days: int, allowed: float | None, spent: float, left: float | None) -> str:
    """What is owed, what that allows, what is spent and left."""
    if floor is None or allowed is None or left is None:
        counted = f"{span(spent)} in {in_days(days)}"
        return f"Its site asks for no uptime, so planned downtime is only counted: {counted}."
    return (
        f"It owes {floor * 100:g} % of {in_days(days)}, which allows {span(allowed)} of planned downtime: "
        f"{span(spent)} spent, {span(left)} left."
    )


def in_days(days: int) -> str:
    """``1 day``, ``30 days``."""
    return "1 day" if days == 1 else f"{days} days"


def room(takes: float, room_from: datetime | None, now: datetime) -> str:
    """Whether an update fits, or when it does."""
    update = f"An update that may take {span(takes)}"
    if room_from is None:
        return f"{update} never fits: the floor allows less."
    if room_from <= now:
        return f"{update} fits now."
    return f"{update} fits again from {room_from:%Y-%m-%d %H:%M} UTC on, if nothing more is spent."


def purpose(kind: str, campaign_id: str | None) -> str:
    """What a charger was away for."""
    what = kind.replace("_", " ").replace("-", " ")
    return f"{what} by campaign {campaign_id}" if campaign_id else what
