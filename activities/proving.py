"""Part of the step that sends: all sources agree now, or nothing leaves (S22 to S26, S32).

A proof that does not hold is a security event and an end for this wave, or for this charger where it is
the charger's own matter; metadata that cannot be had is an alarm and a reason to wait.
"""

from activities.orders import DispatchInput, DispatchKind, Node, Obstacle, Order
from activities.stores import Stores
from activities.withdrawn import withdrawn_by
from signing.errors import (
    DirectiveNotInTime,
    MetadataExpired,
    RepositoryUnreachable,
    SigningError,
    UnsignedRefused,
    VerificationFailed,
    WrongHardware,
)
from signing.ports import DispatchRequest, VerifiedDispatch
from storage.ports import ChargerView


async def security_event(stores: Stores, given: DispatchInput, kind: str, detail: str) -> None:
    """Write down that an update was not sent, or not taken, for a proof that does not hold."""
    await stores.record(
        f"campaign/{given.campaign_id}",
        "security.dispatch_refused",
        f"charger/{given.charger_id}",
        wave=given.wave,
        kind=kind,
        detail=detail,
    )


class Proving:
    """The proof of one dispatch."""

    def __init__(self, node: Node, given: DispatchInput) -> None:
        self._node = node
        self._stores = node.stores
        self._given = given

    async def prove(self, order: Order, view: ChargerView) -> VerifiedDispatch:
        """What may be sent now to the charger as it was just seen, its directive marked as used.

        Raises Obstacle.
        """
        try:
            proof = await self._node.verifier.verify(await self._request(order, view))
        except DirectiveNotInTime as error:
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None  # It is signed anew in time.
        except (MetadataExpired, RepositoryUnreachable) as error:
            await self._alarm(error)
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        except (WrongHardware, UnsignedRefused) as error:
            raise await self._refused(error, DispatchKind.UNSUPPORTED) from None  # This charger's own matter.
        except VerificationFailed as error:
            raise await self._refused(error) from None
        except SigningError as error:
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        if withdrawn := await withdrawn_by(self._stores, proof):
            await security_event(self._stores, self._given, "Withdrawn", withdrawn)
            raise Obstacle(DispatchKind.HALT, withdrawn)
        if not await self._stores.campaigns.use_directive(
            order.directive.directive_id, self._given.charger_id, order.request_id
        ):
            reason = "its directive was used for another request of it; the next one is good again"
            raise Obstacle(DispatchKind.NOT_NOW, reason, spent=True)
        try:
            uses, now = self._node.uses, self._stores.clock()
            await uses.use(proof.directive, self._given.charger_id, order.request_id, now)
        except VerificationFailed as error:
            raise await self._refused(error) from None  # The database forgot, or was made to.
        except SigningError as error:
            await self._alarm(error)
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        return proof

    async def _refused(self, error: VerificationFailed, kind: DispatchKind = DispatchKind.HALT) -> Obstacle:
        """A security event, and an end for this charger or this wave: it is not tried again and again."""
        self._node.alarms.refused(type(error).__name__, self._given.charger_id, error.message)
        await security_event(self._stores, self._given, type(error).__name__, error.message)
        return Obstacle(kind, error.message)

    async def _alarm(self, error: SigningError) -> None:
        """Nothing is sent by this node until it can read fresh metadata again (S20, S22, S31)."""
        kind = type(error).__name__
        if self._node.alarms.blind(kind, error.message, self._stores.clock()):
            await self._stores.record(
                "csms node", "security.dispatch_stopped", "tuf", kind=kind, detail=error.message
            )

    async def _request(self, order: Order, view: ChargerView) -> DispatchRequest:
        given, stores = self._given, self._stores
        version = view.twin.firmware.version if view.twin.firmware else None
        role = order.artifact.vendor_role
        installed = await stores.artifacts.by_version(role, version) if version is not None else None
        return DispatchRequest(
            charger_id=given.charger_id,
            vendor=view.charger.vendor,
            model=view.charger.model,
            hardware_revision=view.charger.hardware_revision,
            installed_version=version,
            installed_counter=installed.release_counter if installed else None,
            request_id=order.request_id,
            scheme=order.profile.signature_scheme,
            signed_update=self._node.sender.supports_signed_update(given.charger_id, given.session_epoch),
            unsafe_unsigned_waiver=order.profile.unsafe_unsigned_waiver,
            directive=order.directive,
            now=stores.clock(),
            told=self._node.sender.told(given.charger_id, given.session_epoch),
        )
