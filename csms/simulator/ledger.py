"""What really happened, told by the chargers alone: the truth a demo or a test holds the server to."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from csms.simulator.number_set import NumberSet, expand
from storage.clock import Clock

_SESSIONS_KEPT = 200
"""Session starts and ends are many: only the latest keep their times. Everything else is kept whole."""


@dataclass(slots=True)
class ChargerLedger:
    """One charger's account. Counters never go down."""

    charger_id: str
    site_id: str
    personality: str
    version: str
    id_prefix: str
    clock: Clock
    counts: Counter[str] = field(default_factory=Counter)
    versions: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    sessions: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_SESSIONS_KEPT))
    sent: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    acknowledged_numbers: NumberSet = field(default_factory=NumberSet)

    def note(self, what: str, **detail: str | int | None) -> None:
        """Something worth a line with its time; counted under its name."""
        self.counts[what] += 1
        self.events.append({"at": self.clock(), "what": what, **detail})

    def session_started(self, session_id: str, evse_id: int) -> None:
        """A car draws energy."""
        self._session("session_started", session_id, evse_id)

    def session_ended(self, session_id: str, evse_id: int) -> None:
        """It was done."""
        self._session("session_ended", session_id, evse_id)

    def session_cut(self, session_id: str, evse_id: int, cause: str) -> None:
        """A restart or an install began while the session was open: a promise broken."""
        self._session("session_cut", session_id, evse_id)
        self.note("cut", session=session_id, evse=evse_id, cause=cause)

    def _session(self, what: str, session_id: str, evse_id: int) -> None:
        self.counts[what] += 1
        self.sessions.append({"at": self.clock(), "what": what, "session": session_id, "evse": evse_id})

    def runs(self, version: str, cause: str) -> None:
        """The charger started on this version."""
        self.version = version
        self.versions.append({"at": self.clock(), "version": version, "cause": cause})

    def session_failed(self, session_id: str, evse_id: int, cause: str) -> None:
        """The charger broke down under it: no promise of anybody's."""
        self._session("session_failed", session_id, evse_id)
        self.note("broke_down", session=session_id, evse=evse_id, cause=cause)

    def message_sent(self, action: str) -> None:
        """A call left, for the first time or again."""
        self.sent[action] += 1

    def message_acknowledged(self, action: str, number: int) -> None:
        """The server answered this call with a result, so it promised to have stored it."""
        self.acknowledged[action] += 1
        self.acknowledged_numbers.add(number)

    def message_refused(self, action: str) -> None:
        """The server answered with a CALLERROR."""
        self.refused[action] += 1

    def as_json(self) -> dict[str, Any]:
        """This charger's part of the report."""
        return {
            "site": self.site_id,
            "personality": self.personality,
            "version": self.version,
            "versions": self.versions,
            "counts": dict(self.counts),
            "messages": {
                "sent": dict(self.sent),
                "acknowledged": dict(self.acknowledged),
                "refused": dict(self.refused),
                "id_prefix": self.id_prefix,
                "acknowledged_ids": self.acknowledged_numbers.text(),
            },
            "events": self.events,
            "sessions": list(self.sessions),
        }


@dataclass(slots=True)
class SiteLedger:
    """Who of a site is away for an update, and when all of them were."""

    chargers: int = 0
    away: set[str] = field(default_factory=set)
    most_away: int = 0
    dark: list[dict[str, datetime | None]] = field(default_factory=list)

    def leaves(self, charger_id: str, now: datetime) -> None:
        """A charger cannot serve cars from now on because of an update."""
        self.away.add(charger_id)
        self.most_away = max(self.most_away, len(self.away))
        # A site with a single charger is away whenever that one is updated; nothing can prevent it.
        if self.chargers > 1 and len(self.away) == self.chargers:
            self.dark.append({"from": now, "to": None})

    def returns(self, charger_id: str, now: datetime) -> None:
        """It serves cars again."""
        if charger_id in self.away and self.dark and self.dark[-1]["to"] is None:
            self.dark[-1]["to"] = now
        self.away.discard(charger_id)


class Ledger:
    """The account of a whole fleet."""

    def __init__(self, fleet: str, seed: int, run_id: str, clock: Clock) -> None:
        self._about = {"fleet": fleet, "seed": seed, "run_id": run_id}
        self._clock = clock
        self._started_at = clock()
        self.run_id = run_id
        self.chargers: dict[str, ChargerLedger] = {}
        self.sites: dict[str, SiteLedger] = {}

    def open(self, charger_id: str, site_id: str, personality: str, version: str) -> ChargerLedger:
        """Begin a charger's account."""
        self.sites.setdefault(site_id, SiteLedger()).chargers += 1
        account = ChargerLedger(charger_id, site_id, personality, version, f"{self.run_id}-", self._clock)
        self.chargers[charger_id] = account
        return account

    def away(self, charger_id: str) -> None:
        """An update took this charger out of service."""
        self.sites[self.chargers[charger_id].site_id].leaves(charger_id, self._clock())

    def back(self, charger_id: str) -> None:
        """It is in service again."""
        self.sites[self.chargers[charger_id].site_id].returns(charger_id, self._clock())

    def totals(self) -> dict[str, Any]:
        """The fleet in numbers."""
        counts: Counter[str] = Counter()
        for account in self.chargers.values():
            counts.update(account.counts)
        messages = {
            name: sum((getattr(account, name) for account in self.chargers.values()), Counter[str]())
            for name in ("sent", "acknowledged", "refused")
        }
        return {
            "chargers": len(self.chargers),
            "sessions_started": counts["session_started"],
            "sessions_ended": counts["session_ended"],
            "sessions_cut": counts["session_cut"],
            "updates_received": counts["update_received"],
            "unsigned_commands": counts["unsigned_command"],
            "badly_signed_commands": counts["bad_certificate"] + counts["bad_signature"],
            "different_images_while_updating": counts["different_image_while_updating"],
            "sites_dark": sum(1 for site in self.sites.values() if site.dark),
            "simulator_errors": counts["simulator_error"],
            "by_version": dict(Counter(account.version for account in self.chargers.values())),
            "messages": {name: dict(found) for name, found in messages.items()},
        }

    def as_json(self, *, final: bool) -> dict[str, Any]:
        """The whole report; ``final`` once the fleet has stopped."""
        return {
            **self._about,
            "started_at": self._started_at,
            "written_at": self._clock(),
            "final": final,
            "totals": self.totals(),
            "sites": {
                name: {"chargers": site.chargers, "most_away": site.most_away, "dark": site.dark}
                for name, site in self.sites.items()
            },
            "chargers": {name: account.as_json() for name, account in self.chargers.items()},
        }


def acknowledged_ids(charger: Mapping[str, Any]) -> list[str]:
    """The message ids in one charger's part of a report that the server acknowledged: all must be stored."""
    messages = charger["messages"]
    return [f"{messages['id_prefix']}{number}" for number in expand(messages["acknowledged_ids"])]
