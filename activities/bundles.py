"""The evidence bundle of a charger, put together and signed in the signer's process.

The signer reads the stores itself: it testifies to what is kept, not to what somebody handed in.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from temporalio import activity

from activities.errors import beating, mapped
from activities.stores import Stores
from signing.ports import BundleSealer
from storage.bundle import MOST_BYTES, BundleManifest, BundleOrder, bundle_key
from storage.canonical import canonical_json
from storage.charging import ChargingSession
from storage.chronicle import Group, TimelineQuestion, question_of
from storage.errors import InvalidInput
from storage.events import EventKind
from storage.ports import BlobStore
from storage.registry_ports import RegistryStore
from storage.watching import WatchStores

HEARTBEAT_S = 2.0
_PAGE = 500
_CERTIFICATES = (
    EventKind.CERTIFICATE_SIGNING_REQUESTED,
    EventKind.CERTIFICATE_STATUS_REQUESTED,
    EventKind.CERTIFICATES_LISTED,
    EventKind.SECURITY_EVENT_REPORTED,
)
_CHANGES = {"firmware": "firmware", "security": "certificates"}
"""Sections of the twin whose history belongs here."""
Line = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class BundleSources:
    """What is read beside the shared stores, and where the file goes."""

    watch: WatchStores
    registry: RegistryStore
    blobs: BlobStore


class BundleActivities:
    """Register on the signer's queue only."""

    def __init__(self, stores: Stores, sources: BundleSources, seal: BundleSealer) -> None:
        self._stores = stores
        self._sources = sources
        self._seal = seal

    @activity.defn
    @mapped
    async def sign_bundle(self, given: BundleOrder) -> int:
        """Write the file, once; how many lines of evidence it has. Raises NotFound, InvalidInput (long)."""
        async with beating(HEARTBEAT_S):
            lines, counts = await self._lines(given)
            body = b"".join(lines)
            manifest = BundleManifest(
                bundle_id=given.bundle_id,
                charger_id=given.charger_id,
                since=given.since,
                until=given.until,
                requested_by=given.actor,
                reason=given.reason,
                made_at=self._stores.clock(),
                lines=len(lines),
                sha256=hashlib.sha256(body).hexdigest(),
                sections=dict(counts),
            )
            head = await self._seal.seal(manifest)
            subject = f"charger/{given.charger_id}"
            await self._stores.record(
                given.actor, "charger.evidence_signed", subject, bundle=given.bundle_id, reason=given.reason
            )
            # Whoever was faster stands: both say what was kept at their instant, and each holds.
            await self._sources.blobs.put_bytes(bundle_key(given.bundle_id), head + body)
            return len(lines)

    async def _lines(self, given: BundleOrder) -> tuple[list[bytes], Counter[str]]:
        lines: list[bytes] = []
        size, counts = 0, Counter[str]()
        async for section, told in self._evidence(given):
            line = canonical_json({"section": section, **told}) + b"\n"
            size += len(line)
            if size > MOST_BYTES:
                raise InvalidInput(
                    f"What is kept of {given.charger_id} over this span is more than {MOST_BYTES} bytes.",
                    hint="Ask for shorter spans, one after the other.",
                )
            lines.append(line)
            counts[section] += 1
        return lines, counts

    async def _evidence(self, given: BundleOrder) -> AsyncIterator[Line]:
        view = await self._stores.chargers.get(given.charger_id)
        yield "charger", {"what": "registered", "as": view.charger}
        yield "charger", {"what": "twin", "as": view.twin}
        for move in await self._sources.registry.moves(given.charger_id, limit=_PAGE):
            yield "charger", {"what": "move", "as": move}
        async for line in self._told(given):
            yield line
        for target in await self._stores.campaigns.target_history(given.charger_id, limit=_PAGE):
            yield "firmware", {"what": "attempt", "as": target}
        async for line in self._usage(given):
            yield line

    async def _told(self, given: BundleOrder) -> AsyncIterator[Line]:
        span = {"since": given.since, "until": given.until}
        questions = (
            ("errors", question_of([Group.ALARM, Group.ERROR], **span)),
            ("timeline", question_of([Group.EVENT, Group.ACT], **span)),
            ("certificates", question_of([kind.value for kind in _CERTIFICATES], **span)),
        )
        for section, question in questions:
            async for entry in self._chronicle(given.charger_id, question):
                yield section, {"what": entry["kind"], "as": entry}
        async for entry in self._chronicle(given.charger_id, question_of([Group.CHANGE], **span)):
            shelf = _CHANGES.get(str(entry["body"].get("section")))
            if shelf is not None:
                yield shelf, {"what": entry["kind"], "as": entry}

    async def _chronicle(self, charger_id: str, question: TimelineQuestion) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = await self._stores.events.chronicle(charger_id, question, limit=_PAGE, cursor=cursor)
            for entry in page.items:
                told = asdict(entry)
                told["body"].pop("id_token_hash", None)
                yield told
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    async def _usage(self, given: BundleOrder) -> AsyncIterator[Line]:
        watch, now = self._sources.watch, self._stores.clock()
        before: str | None = None
        while page := await watch.sessions.of_charger(given.charger_id, limit=_PAGE, before=before):
            before = page[-1][0]
            for _, session in page:
                if given.since <= (session.started_received_at or session.heard_at) < given.until:
                    yield "usage", {"what": "session", "as": _without_person(session)}
        first, last = given.since.date(), given.until.date()
        for day, sums in await watch.service.days(given.charger_id, first, now):
            if day <= last:
                yield "usage", {"what": "day", "day": day.isoformat(), "as": sums}
        yield "usage", {"what": "metering", "as": await watch.service.metering(given.charger_id)}


def _without_person(session: ChargingSession) -> dict[str, Any]:
    """Who charged is nobody's business who looks at a charger (F23)."""
    told = asdict(session)
    del told["id_token_hash"]
    return told
