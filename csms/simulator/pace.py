"""All durations of the simulation in one place, so that a demo runs in seconds."""

import random
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ConfigDict

Span = tuple[float, float]
"""Least and most, seconds; each use draws from it."""

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class SimPace:
    """Seconds each. The defaults suit a demo; a field-like run sets minutes."""

    __pydantic_config__ = STRICT

    session_s: Span = (5.0, 20.0)
    meter_s: float = 2.0
    plug_s: float = 0.3
    """From plugging in to authorising, and from the end of energy to driving off."""
    install_s: Span = (1.0, 2.0)
    reboot_s: Span = (1.0, 2.0)
    crash_s: float = 0.5
    """How long a boot-looping image lives after it was let in."""
    backoff_s: Span = (0.5, 15.0)
    """First and longest wait before another connection attempt; each is jittered."""
    open_timeout_s: float = 10.0
    call_timeout_s: float = 30.0
    heartbeat_s: float | None = None
    """None: as the server says at boot."""
    boot_retry_s: float = 5.0
    """At most this long before BootNotification is sent again after Pending or Rejected."""
    download_retry_s: float = 1.0
    """At most this long between attempts, whatever the command says."""
    upload_retry_s: float = 1.0
    """At most this long between attempts to upload a log, whatever the command says."""
    flush_s: float = 3.0
    """How long a charger lets its last messages leave before it restarts."""
    report_s: float = 1.0


@dataclass(frozen=True, slots=True)
class SessionPattern:
    """How often cars come. ``busy_share``: of the time an EVSE has a session, on average."""

    __pydantic_config__ = STRICT

    busy_share: float = 0.25
    daily: tuple[float, ...] = ()
    """24 weights, one per UTC hour, 1 is average; empty: the same all day."""

    spread: float = 0.0
    """How unlike the chargers are: shares log-normal with this sigma, days shifted by hours."""

    def of_one(self, rng: random.Random) -> "SessionPattern":
        """The pattern of one charger; without spread every charger has the same."""
        if not self.spread:
            return self
        share = min(self.busy_share * rng.lognormvariate(-(self.spread**2) / 2, self.spread), 0.95)
        shift = round(rng.gauss(0, 2 * self.spread)) % 24 if self.daily else 0
        return replace(self, busy_share=share, daily=self.daily[shift:] + self.daily[:shift])

    def mean_gap_s(self, pace: SimPace, now: datetime) -> float | None:
        """How long an EVSE stays free on average, or None if no car comes at this hour."""
        weight = self.daily[now.hour] if self.daily else 1.0
        share = min(self.busy_share * weight, 0.95)
        if share <= 0:
            return None
        return sum(pace.session_s) / 2 * (1 - share) / share
