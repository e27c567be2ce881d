"""One image for a whole site: its local controller fetches it once and offers it (OCPP 2.0.1 L03, L04).

Nothing is installed by it, and nothing is believed for it. Chargers get the controller's address in the same
proven and signed order that would name ours, and prove for themselves what they fetched; one that is
sent no signature fetches from us. The MD5 that L03 wants is taken of bytes whose SHA-256 is the image's.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from temporalio import activity

from activities.addresses import fetch_window, unsendable
from activities.errors import beating, mapped
from activities.leave import no_leave_to_fetch
from activities.orders import Node
from activities.stores import Stores
from csms.commands import AnswerStatus, Command, CommandAnswer, PublishFirmware, UnpublishFirmware
from csms.errors import CallFailed, CommandTimeout, NotAccepted, Unsupported
from csms.ports import LastLook
from storage.artifact import Artifact, ArtifactPhase
from storage.blob_ports import BlobStore
from storage.campaign import CampaignPhase
from storage.charger import ModelProfile
from storage.errors import NotFound
from storage.events import EventKind
from storage.ports import ChargerView
from storage.publication import LocalImage, Publication
from storage.reports import PublishStatus
from storage.twin import IN_SERVICE
from storage.withdrawal import artifact_subject

HEARTBEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class LocalQuery:
    """One site of one wave."""

    campaign_id: str
    wave: int
    site_id: str


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """What is to be offered where, and how long its site's chargers may wait for it."""

    image: LocalQuery
    controller_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LocalOrder:
    """An order to the controller, over one of its sessions."""

    image: LocalQuery
    controller_id: str
    session_epoch: int


@dataclass(frozen=True, slots=True)
class LocalEnd:
    """Where an image at a controller is, in a sentence."""

    image: LocalQuery
    state: Publication
    reason: str


@dataclass(frozen=True, slots=True)
class LocalLook:
    """What a controller told since it was asked; earlier words are about an earlier try."""

    image: LocalQuery
    since: datetime | None


@dataclass(frozen=True, slots=True)
class LocalReports:
    """What a controller told of one publication. Its addresses stay in PostgreSQL."""

    state: Publication
    status: PublishStatus | None = None
    """The last it told; None: nothing."""
    addresses: int = 0


class LocalKind(StrEnum):
    """What became of an order to a controller."""

    DONE = "done"
    LATER = "later"
    """Not now: it did not answer, is not there, or chargers still fetch from it."""
    NO = "no"
    """It will not, or it must not be asked."""


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """What a controller said."""

    kind: LocalKind
    reason: str = ""
    asked_at: datetime | None = None
    """When the order left, or may have."""


class LocalImageActivities:
    """On any worker."""

    def __init__(self, stores: Stores, blobs: BlobStore) -> None:
        self._stores = stores
        self._blobs = blobs

    @activity.defn
    @mapped
    async def open_local_image(self, given: LocalRequest) -> LocalReports:
        """Write down that a controller is to be asked, once; returns what there is."""
        stores, query, now = self._stores, given.image, self._stores.clock()
        row = await _find(stores, query)
        if row is None:
            targets = await stores.campaigns.targets(query.campaign_id, query.wave, 0, 1)
            if not targets:
                raise NotFound("wave with targets", f"{query.campaign_id}/{query.wave}")
            artifact = await stores.artifacts.get(targets[0].artifact_id)
            checksum = await self._md5(artifact)
            row = await stores.publications.open(
                LocalImage(
                    query.campaign_id,
                    query.wave,
                    query.site_id,
                    given.controller_id,
                    artifact.artifact_id,
                    checksum,
                    await stores.campaigns.next_request_id(),
                    now,
                    now + timedelta(seconds=given.seconds),
                    state=Publication.ASKED if checksum else Publication.FAILED,
                    reason="" if checksum else "its bytes in the store are not what was signed",
                )
            )
        return LocalReports(row.state)

    async def _md5(self, artifact: Artifact) -> str:
        """Of the very bytes that people signed; "": the store has others."""
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        try:
            async for chunk in self._blobs.read(artifact.artifact_id):
                md5.update(chunk)
                sha256.update(chunk)
        except NotFound:
            return ""
        return md5.hexdigest() if sha256.hexdigest() == artifact.artifact_id else ""

    @activity.defn
    @mapped
    async def reconcile_local_image(self, given: LocalLook) -> LocalReports:
        """What the controller told since it was asked."""
        row = await _known(self._stores, given.image)
        status, locations = await _told(self._stores, row, given.since)
        return LocalReports(row.state, status, len(locations))

    @activity.defn
    @mapped
    async def settle_local_image(self, given: LocalEnd) -> None:
        """Write down how it ended, with the addresses that the controller reported, and no others."""
        row = await _known(self._stores, given.image)
        if row.state is given.state:
            return
        told = (await _told(self._stores, row))[1] if given.state is Publication.PUBLISHED else ()
        await self._stores.record(
            f"campaign/{row.campaign_id}",
            f"local_image.{given.state.value}",
            f"site/{row.site_id}",
            wave=row.wave,
            controller=row.controller_id,
            artifact=row.artifact_id,
            request_id=row.request_id,
            reason=given.reason,
        )
        await self._stores.publications.settle(row, given.state, given.reason, told)

    @activity.defn
    @mapped
    async def count_local_targets(self, given: LocalQuery) -> int:
        """How many of the wave's chargers at the site are not done."""
        return await self._stores.publications.open_targets(given.campaign_id, given.wave, given.site_id)


class _NoLeave(Exception):
    """It was stopped while it waited for its turn."""


class LocalImageSender:
    """On the node that holds the controller's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stores = node.stores

    @activity.defn
    @mapped
    async def publish_locally(self, given: LocalOrder) -> LocalAnswer:
        """Have it fetch the image by a ticket of its own. Raises NotConnectedHere only."""
        async with beating(HEARTBEAT_S):
            row = await _known(self._stores, given.image)
            if why := await self._no_leave(row):
                return LocalAnswer(LocalKind.NO, why)
            view = await self._stores.chargers.get(row.controller_id)
            if view.charger.site_id != row.site_id:
                return LocalAnswer(LocalKind.NO, f"{row.controller_id} is not at the site {row.site_id}")
            window = fetch_window(view, None, (row.deadline - self._stores.clock()).total_seconds())
            location = await self._node.office.mint(row.controller_id, row.artifact_id, window)
            command = PublishFirmware(row.request_id, location, row.checksum)
            return await self._ask(given, command, lambda: self._last_look(row))

    async def _last_look(self, row: LocalImage) -> None:
        """Its turn has come and only the write is left: a stop since then holds it back."""
        if why := await self._no_leave(row):
            raise _NoLeave(why)

    async def _no_leave(self, row: LocalImage) -> str:
        """As for every sending: the campaign runs, nothing is halted or frozen, the image stands."""
        if row.state is not Publication.ASKED:
            return f"it is {row.state.value} already"
        if row.deadline <= self._stores.clock():
            return "its time is over"
        return await self._stopped(row) or await self._closed(row) or await self._fallen(row)

    async def _stopped(self, row: LocalImage) -> str:
        campaign, halt = (
            await self._stores.campaigns.get(row.campaign_id),
            await self._stores.halts.standing(),
        )
        if campaign.phase is not CampaignPhase.RUNNING:
            return f"the campaign is {campaign.phase.value}"
        if campaign.over(self._stores.clock()):
            return "the campaign's end has come"
        return halt.sentence if halt else ""

    async def _closed(self, row: LocalImage) -> str:
        """A controller has an upkeep and a place in the fleet as chargers have."""
        lifecycle = (await self._stores.chargers.get(row.controller_id)).charger.lifecycle
        if lifecycle not in IN_SERVICE:
            return f"{row.controller_id} is {lifecycle.value}"
        return await no_leave_to_fetch(self._stores, row.controller_id, row.site_id) or ""

    async def _fallen(self, row: LocalImage) -> str:
        artifact = await self._stores.artifacts.get(row.artifact_id)
        if artifact.phase is not ArtifactPhase.RELEASED:
            return f"the image is {artifact.phase.value}"
        withdrawn = await self._stores.withdrawals.in_force((artifact_subject(row.artifact_id),))
        return withdrawn[0].sentence() if withdrawn else ""

    @activity.defn
    @mapped
    async def unpublish_locally(self, given: LocalOrder) -> LocalAnswer:
        """Have it offered no more, unless another wave needs it there. Raises NotConnectedHere only."""
        async with beating(HEARTBEAT_S):
            row = await _known(self._stores, given.image)
            if await self._stores.publications.offered_elsewhere(row):
                return LocalAnswer(LocalKind.DONE, "another wave has it offered there still")
            answer = await self._ask(given, UnpublishFirmware(row.checksum))
            taken = answer.kind is LocalKind.DONE and answer.reason.endswith(AnswerStatus.ACCEPTED.value)
            return replace(answer, reason="it offers it no more") if taken else answer

    async def _ask(
        self, given: LocalOrder, command: Command, last_look: LastLook | None = None
    ) -> LocalAnswer:
        node, asked_at = self._node, self._stores.clock()
        try:
            answer = await node.sender.send(
                given.controller_id,
                given.session_epoch,
                command,
                deadline_s=node.command_seconds,
                last_look=last_look,
            )
        except _NoLeave as error:
            return LocalAnswer(LocalKind.NO, str(error))
        except CommandTimeout as error:
            return LocalAnswer(LocalKind.LATER, error.message, asked_at)
        except NotAccepted as error:
            return LocalAnswer(LocalKind.LATER, error.message)
        except (CallFailed, Unsupported) as error:
            return LocalAnswer(LocalKind.NO, error.message)
        return replace(_heard(answer), asked_at=asked_at)


def _heard(answer: CommandAnswer) -> LocalAnswer:
    said = f"it answered {answer.status.value} {answer.detail}".strip()
    match answer.status:
        case AnswerStatus.ACCEPTED:
            return LocalAnswer(LocalKind.DONE, said)
        case AnswerStatus.NOT_FOUND:
            return LocalAnswer(LocalKind.DONE, "it does not have it any more")  # L04.FR.02
        case AnswerStatus.DOWNLOAD_ONGOING:
            return LocalAnswer(LocalKind.LATER, "chargers still fetch from it")  # L04.FR.03
        case _:
            return LocalAnswer(LocalKind.NO, said)


async def local_address(
    stores: Stores, query: LocalQuery, artifact_id: str, view: ChargerView, profile: ModelProfile
) -> str | None:
    """Where this charger fetches a signed image at its own site; None: from us.

    Only what its site's controller reported for this very image, and never the controller from itself.
    """
    row = await _find(stores, query)
    if row is None or row.state is not Publication.PUBLISHED or row.artifact_id != artifact_id:
        return None
    if row.controller_id == view.charger.charger_id:
        return None
    return usable(row.locations, view, profile)


def usable(locations: Sequence[str], view: ChargerView, profile: ModelProfile) -> str | None:
    """The first address that may go to a charger, and that it can use."""
    fit = (text for text in locations if _whole(text))
    return next((text for text in fit if unsendable(view, profile, text, signed=True) is None), None)


def _whole(text: str) -> bool:
    """Whether it is an address of a place at all: printable, with a scheme of L03 and a host."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_SCHEMES = frozenset({"https", "http", "ftps", "ftp", "sftp"})


async def _find(stores: Stores, given: LocalQuery) -> LocalImage | None:
    return await stores.publications.get(given.campaign_id, given.wave, given.site_id)


async def _known(stores: Stores, given: LocalQuery) -> LocalImage:
    row = await _find(stores, given)
    if row is None:
        raise NotFound("local image", f"{given.campaign_id}/{given.wave}/{given.site_id}")
    return row


async def _told(
    stores: Stores, row: LocalImage, since: datetime | None = None
) -> tuple[PublishStatus | None, tuple[str, ...]]:
    """Its last word of this very request, and the addresses that came with it."""
    kinds = (EventKind.PUBLISH_STATUS_REPORTED.value,)
    events = await stores.events.since(row.controller_id, since or row.since, kinds)
    ours = [one.body for one in events if one.body.get("request_id") == row.request_id]
    if not ours:
        return None, ()
    last = ours[-1]
    return PublishStatus(last["status"]), tuple(last.get("locations") or ())
