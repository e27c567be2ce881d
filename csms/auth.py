"""Who may open a socket: a password in profiles 1 and 2, a certificate in profile 3 (OCPP A00).

The username equals the identity in the path; the certificate is bound to it by the registration.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from csms.client_certificates import ClientCertificates, Unproven
from csms.limits import FailureLimit, RecentKeys
from csms.newcomers import Newcomers
from csms.passwords import Which, fate_of_login, which_password
from csms.pki.certificates import Presented
from csms.pki.path import CertificatePath
from storage.charger import Charger, ChargerCredential
from storage.credentials import PendingFate
from storage.errors import NotFound
from storage.ports import ChargerStore, ChargerView
from storage.twin import Lifecycle

REALM = "ampwave"


def basic_password(header: str | None, identity: str) -> bytes | None:
    """The password of an ``Authorization: Basic`` header whose username is this identity, else None.

    Bytes, because 1.6 chargers send a decoded AuthorizationKey, which is no text.
    """
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    # An identity may hold a colon itself, so it is taken off as a whole.
    username = identity.encode() + b":"
    return pair.removeprefix(username) if pair.startswith(username) else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A peer that wants a socket."""

    charger_id: str
    address: str
    authorization: str | None
    """The header, as it came."""
    is_1_6: bool
    tls: bool
    certificate: Presented | None = None
    """What it showed in the TLS handshake."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """It proved to be that charger."""

    view: ChargerView
    security_profile: int
    path: CertificatePath | None = None
    """Of the certificate that proved it (profile 3)."""
    caution: str | None = None
    """What could not be checked."""
    expired: bool = False
    """Its certificate has run out: it is here to renew it (A00.FR.429)."""
    bootstrap: bool = False
    """It came with what its factory gave it: parked, and this says nothing of the profile it will have."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not."""

    status: int
    """HTTP: 401 wrong credentials, 403 not welcome, 404 unknown identity, 429 too many failures."""
    reason: str
    registered: bool
    """Whether the identity is one of ours, so that the refusal belongs on its timeline (F39)."""
    profile: int | None = None
    """It proved to be this charger, over this profile, which is too low for it."""


class Authenticator:
    """Judges attempts against the registered chargers."""

    def __init__(
        self,
        chargers: ChargerStore,
        pepper: bytes,
        monotonic: Callable[[], float],
        certificates: ClientCertificates | None = None,
        *,
        unsafe_profile_0: bool = False,
        newcomers: Newcomers | None = None,
    ) -> None:
        self._chargers = chargers
        self._pepper = pepper
        self._certificates = certificates
        self._newcomers = newcomers
        self._unsafe_profile_0 = unsafe_profile_0
        # By pair, so that a stranger cannot lock a charger out by failing in its name; an address
        # may be a whole site behind one router or balancer, so it gets many more.
        self._by_pair = FailureLimit(10, 60.0, monotonic)
        self._by_address = FailureLimit(300, 60.0, monotonic)
        # Who proved itself from there is not locked out with it: a fleet may share an address with a guesser.
        self._proven = RecentKeys()

    async def admit(self, attempt: Attempt) -> Admitted | Refused:
        """Judge one attempt. Unknown identities cost the same work as known ones.

        Raises:
            EngineUnavailable: the store did not answer; nothing is known about this attempt.
        """
        pair = f"{attempt.charger_id} {attempt.address}"
        crowded = self._by_address.exceeded(attempt.address) and pair not in self._proven
        if crowded or self._by_pair.exceeded(pair):
            return Refused(429, "too many failed attempts; wait a minute", registered=False)
        verdict = await self._judge(attempt)
        if isinstance(verdict, Refused) and verdict.status in (401, 403, 404):
            self._by_pair.failed(pair)
            self._by_address.failed(attempt.address)
        elif isinstance(verdict, Admitted):
            self._proven.add(pair)
        return verdict

    async def _judge(self, attempt: Attempt) -> Admitted | Refused:
        view = await self._view(attempt.charger_id)
        credential = await self._chargers.credential(attempt.charger_id)
        if attempt.certificate is not None:
            # Who shows a certificate is judged by it alone; a password makes up for no wrong one.
            proved = await self._by_certificate(attempt.certificate, view)
            if isinstance(proved, Refused):
                proved = await self._newcomer(attempt.certificate, attempt, view) or proved
        else:
            proved = await self._by_password(attempt, view, credential)
        if isinstance(proved, Refused):
            return proved
        return _not_welcome(proved.view.charger, proved.security_profile) or proved

    async def _view(self, charger_id: str) -> ChargerView | None:
        try:
            return await self._chargers.get(charger_id)
        except NotFound:
            return None

    async def _by_certificate(self, presented: Presented, view: ChargerView | None) -> Admitted | Refused:
        if view is None:
            return _UNKNOWN
        if self._certificates is None:
            return Refused(401, "client certificates are not accepted here", registered=True)
        proof = await self._certificates.prove(presented, view.charger)
        if isinstance(proof, Unproven):
            return Refused(401, proof.reason, registered=True)
        return Admitted(view, 3, proof.path, proof.caution, proof.expired)

    async def _newcomer(
        self, presented: Presented, attempt: Attempt, view: ChargerView | None
    ) -> Admitted | Refused | None:
        """None: no manufacturer vouches for it, or it is past its way in."""
        parked = view is None or view.charger.lifecycle is Lifecycle.PROVISIONING
        if self._newcomers is None or not parked:
            return None
        why = await self._newcomers.admit(presented, attempt.charger_id, attempt.address)
        if why is None:
            return None
        if why:
            return Refused(403, why, registered=view is not None)
        return Admitted(await self._chargers.get(attempt.charger_id), 3, bootstrap=True)

    async def _by_password(
        self, attempt: Attempt, view: ChargerView | None, credential: ChargerCredential | None
    ) -> Admitted | Refused:
        password = basic_password(attempt.authorization, attempt.charger_id)
        which = which_password(self._pepper, credential, password or b"", hex_forms=attempt.is_1_6)
        if view is None:
            return _UNKNOWN
        if credential is None:
            unproved = self._without_credential()
        elif password is None:
            unproved = "no basic credentials with this identity as the username"
        else:
            unproved = "wrong password" if which is Which.NEITHER else ""
        if unproved:
            return Refused(401, unproved, registered=True)
        if credential is not None:
            await self._settle(which, credential, view)
        return Admitted(view, 0 if credential is None else 2 if attempt.tls else 1)

    async def _settle(self, which: Which, credential: ChargerCredential, view: ChargerView) -> None:
        """The charger shows which of two passwords is live; the other one dies here (A01.FR.03, FR.04)."""
        if credential.pending is None:
            return
        boots = view.twin.firmware.boots if view.twin.firmware else ()
        fate = fate_of_login(which, credential.pending, boots)
        if fate is not PendingFate.HOLD:
            await self._chargers.settle_secret(credential.charger_id, credential.pending, fate)

    def _without_credential(self) -> str:
        return "" if self._unsafe_profile_0 else "no password is registered for this charger"


_UNKNOWN = Refused(404, "no charger is registered under this identity", registered=False)


def _not_welcome(charger: Charger, profile: int) -> Refused | None:
    """Told only to who proved to be that charger."""
    if charger.lifecycle in (Lifecycle.QUARANTINED, Lifecycle.RETIRED):
        return Refused(403, f"the charger is {charger.lifecycle.value}", registered=True)
    if profile < charger.security_floor:
        # OCPP 2.0.1 A05.FR.07, S61: what was once more secure never goes back.
        reason = f"security profile {profile} is below this charger's floor, {charger.security_floor}"
        return Refused(403, reason, registered=True, profile=profile)
    return None
