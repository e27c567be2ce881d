"""Which role runs out when, and what a person should hear of it (S14). The judgement is pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signing.roles import rule_for

NOTICE_DAYS = (30, 14, 3)
"""People are told so many days before a role that they sign runs out, each time anew."""


@dataclass(frozen=True, slots=True)
class RoleExpiry:
    """One role's metadata as published and verified."""

    role: str
    version: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """What to tell people; ``stage`` tells one notice about a role from the next."""

    role: str
    version: int
    stage: str
    summary: str
    expires: datetime


def expiry_notices(expiries: Sequence[RoleExpiry], now: datetime) -> tuple[ExpiryNotice, ...]:
    """Every notice that is due: one per role and stage that it has reached."""
    return tuple(notice for each in expiries for notice in _notices(each, now))


def advice(role: str, expires: datetime, now: datetime) -> str:
    """What to do about a role's expiry, in few words; nothing if there is time."""
    left = expires - now
    if rule_for(role).online:
        return "the signer is late: is it running?" if left < rule_for(role).lifetime / 4 else ""
    words = ("plan to sign it anew", "sign it anew", "sign it anew now")
    due = [text for days, text in zip(NOTICE_DAYS, words, strict=True) if left < timedelta(days=days)]
    return due[-1] if due else ""


def _notices(each: RoleExpiry, now: datetime) -> list[ExpiryNotice]:
    left = each.expires - now
    until = f"{each.expires:%Y-%m-%d %H:%M}Z"
    if left <= timedelta():
        stages = [("expired", f"{each.role} expired at {until}: nothing is sent until it is signed anew.")]
    elif rule_for(each.role).online:
        late = left < rule_for(each.role).lifetime / 4
        words = f"{each.role} runs out at {until} and was not signed anew: is the signer running?"
        stages = [("late", words)] if late else []
    else:
        todo = f"{each.role} runs out at {until}: its holders have to sign it anew (ampwave tuf rotate)."
        stages = [(f"{days}d", todo) for days in NOTICE_DAYS if left < timedelta(days=days)]
    return [ExpiryNotice(each.role, each.version, stage, words, each.expires) for stage, words in stages]
