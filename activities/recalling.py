"""Calling one charger's update back while it is under way (R31).

Two levers. Its ticket is revoked: whatever it speaks, the rest of the image does not arrive any more. And
where OCPP has a word for it, it is told so: an UpdateFirmware cancels the older one first (L01.FR.24), so one
with an address that nothing answers is the way to stop, and Rejected says that it cannot (L01.FR.27).
An image that is being written is never interrupted.
"""

from dataclasses import dataclass

from activities.conclusion import taken_over
from activities.orders import Node
from activities.stores import Stores
from csms.commands import AnswerStatus, UpdateFirmware
from csms.errors import CallFailed, CommandTimeout, NotAccepted, Unsupported
from csms.frames import OCPP16
from storage.artifact import Artifact, VendorSignature
from storage.campaign import Target
from storage.charger import ModelProfile
from storage.errors import Conflict
from storage.events import EventKind, FirmwareStatus
from storage.ids import charger_workflow_id
from storage.ports import ChargerView

_WRITING = frozenset({FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING, FirmwareStatus.INSTALLED})
_HAS_IMAGE = _WRITING | {
    FirmwareStatus.DOWNLOADED,
    FirmwareStatus.SIGNATURE_VERIFIED,
    FirmwareStatus.INSTALL_SCHEDULED,
}


@dataclass(frozen=True, slots=True)
class RecallInput:
    """Whom to tell, over which session."""

    campaign_id: str
    wave: int
    charger_id: str
    session_epoch: int
    request_id: int | None = None
    """Of the order that it was told before and may not have heard: the same one again."""


@dataclass(frozen=True, slots=True)
class RecallAnswer:
    """Whether it stopped, and what it said."""

    stopped: bool
    reason: str
    request_id: int | None = None
    """Of the order that it was told; None: it was told nothing."""
    known: bool = True
    """False: it may have heard it or not."""


@dataclass(frozen=True, slots=True)
class RecallNote:
    """What is known of a charger that was called back, in words."""

    campaign_id: str
    wave: int
    charger_id: str
    text: str


async def refuse_too_late(stores: Stores, target: Target) -> None:
    """Raise Conflict where nothing can stop it any more: it writes, or 1.6 has the whole image."""
    said, name = await _told(stores, target), target.charger_id
    if writing := said & _WRITING:
        raise Conflict(
            f"{name} installs it ({min(writing)}): what is being written cannot be stopped without harm.",
            hint="Wait for its end; a rollback takes it back afterwards.",
        )
    link = (await stores.chargers.get(name)).twin.connectivity
    if said & _HAS_IMAGE and link is not None and link.dialect == OCPP16:
        raise Conflict(
            f"{name} has the whole image, and OCPP 1.6 has no word to stop an install.",
            hint="Wait for its end; a rollback takes it back afterwards.",
        )


async def _told(stores: Stores, target: Target) -> frozenset[FirmwareStatus]:
    """What it told of this update since it was sent."""
    if target.dispatched_at is None:
        return frozenset()
    kind = EventKind.FIRMWARE_STATUS_REPORTED.value
    events = await stores.events.since(target.charger_id, target.dispatched_at, [kind])
    ours = [one.body for one in events if one.body.get("request_id") in (None, target.request_id)]
    return frozenset(FirmwareStatus(body["status"]) for body in ours)


async def call_back(node: Node, given: RecallInput) -> RecallAnswer:
    """Tell it to stop, where its OCPP has a word for that. Raises NotConnectedHere.

    Its ticket is revoked in any case.
    """
    stores, charger_id = node.stores, given.charger_id
    lease = await stores.leases.get(charger_id)
    if lease is None or taken_over(lease) or lease.workflow_id != charger_workflow_id(charger_id):
        return RecallAnswer(stopped=False, reason="its site lease is not ours any more")
    view = await stores.chargers.get(charger_id)
    if not _has_a_word(node, view, given):
        return RecallAnswer(stopped=False, reason="OCPP 1.6 has no word for it")
    target = await stores.campaigns.target(given.campaign_id, given.wave, charger_id)
    if await _told(stores, target) & _WRITING:
        return RecallAnswer(stopped=False, reason="it installs by now, and is not interrupted")
    command = await empty_update(node, view, target.artifact_id, given.request_id)
    answer = await _told_to_stop(node, given, command)
    await stores.record(
        f"campaign/{given.campaign_id}",
        "update.told_to_stop",
        f"charger/{charger_id}",
        wave=given.wave,
        request_id=command.request_id,
        said=answer.reason,
    )
    return answer


async def _told_to_stop(node: Node, given: RecallInput, command: UpdateFirmware) -> RecallAnswer:
    number = command.request_id
    try:
        answer = await node.sender.send(
            given.charger_id, given.session_epoch, command, deadline_s=node.command_seconds
        )
    except NotAccepted as error:
        return RecallAnswer(stopped=False, reason=error.message, known=False)
    except CommandTimeout as error:
        return RecallAnswer(stopped=False, reason=error.message, request_id=number, known=False)
    except (CallFailed, Unsupported) as error:
        return RecallAnswer(stopped=False, reason=error.message, request_id=number)
    stopped = answer.status is AnswerStatus.ACCEPTED_CANCELED
    return RecallAnswer(stopped, f"it answered {answer.status.value}", number)


def _has_a_word(node: Node, view: ChargerView, given: RecallInput) -> bool:
    link = view.twin.connectivity
    if link is not None and link.dialect not in (None, OCPP16):
        return True
    return node.sender.supports_signed_update(given.charger_id, given.session_epoch)


async def empty_update(
    node: Node, view: ChargerView, artifact_id: str, request_id: int | None = None
) -> UpdateFirmware:
    """What it is told brings it nothing: no ticket has this address."""
    stores = node.stores
    artifact = await stores.artifacts.get(artifact_id)
    vendor = _signature(artifact, await stores.chargers.model(view.charger.vendor, view.charger.model))
    return UpdateFirmware(
        request_id=await stores.campaigns.next_request_id() if request_id is None else request_id,
        location=node.office.example(),
        retrieve_at=stores.clock(),
        signing_certificate=vendor.certificate if vendor else None,
        signature=vendor.signature if vendor else None,
        retries=0,
    )


def _signature(artifact: Artifact, profile: ModelProfile | None) -> VendorSignature | None:
    """The one that it was sent, so that it is not the signature that it refuses."""
    signatures = artifact.vendor_signatures
    known = [each for each in signatures if profile is not None and each.scheme is profile.signature_scheme]
    return next(iter([*known, *signatures]), None)
