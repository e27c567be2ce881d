"""Who may open a socket: HTTP basic authentication of security profiles 1 and 2 (OCPP A00).

The username equals the identity in the path. Passwords are random, so a keyed hash is the right
store: fast enough for a whole fleet that reconnects at once, useless without the pepper.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from storage.charger import ChargerCredential
from storage.errors import NotFound
from storage.ports import ChargerStore, ChargerView
from storage.twin import Lifecycle

REALM = "ampwave"


def hash_secret(pepper: bytes, secret: str | bytes) -> bytes:
    """HMAC-SHA256 of a charger's password or an id token under the deployment's pepper."""
    return hmac.digest(pepper, secret.encode() if isinstance(secret, str) else secret, hashlib.sha256)


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


def secret_matches(pepper: bytes, stored: bytes, offered: bytes, *, hex_forms: bool) -> bool:
    """Whether the offered password is the stored one; every form is tried, in constant time.

    ``hex_forms``: a 1.6 AuthorizationKey is configured as hex digits, and some chargers send those
    digits while others send the bytes they stand for (seen: both, with one key).
    """
    forms = [offered]
    if hex_forms:
        forms += [offered.hex().encode(), offered.hex().upper().encode(), _unhex(offered)]
    matches = [hmac.compare_digest(hash_secret(pepper, form), stored) for form in forms]
    return any(matches)


def _unhex(offered: bytes) -> bytes:
    try:
        return binascii.unhexlify(offered)
    except binascii.Error:
        return offered


class FailureLimit:
    """Counts failures per key in fixed windows; bounded, the oldest keys are forgotten first."""

    def __init__(
        self, limit: int, window_s: float, monotonic: Callable[[], float], max_keys: int = 10_000
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._monotonic = monotonic
        self._max_keys = max_keys
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def exceeded(self, key: str) -> bool:
        """Whether this key has used up its failures in the current window."""
        return self._current(key)[1] >= self._limit

    def failed(self, key: str) -> None:
        """Count one more."""
        began, count = self._current(key)
        self._failures[key] = (began, count + 1)
        self._failures.move_to_end(key)
        while len(self._failures) > self._max_keys:
            self._failures.popitem(last=False)

    def _current(self, key: str) -> tuple[float, int]:
        now = self._monotonic()
        began, count = self._failures.get(key, (now, 0))
        return (began, count) if now - began < self._window_s else (now, 0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A peer that wants a socket."""

    charger_id: str
    address: str
    authorization: str | None
    """The header, as it came."""
    is_1_6: bool
    tls: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """It proved to be that charger."""

    view: ChargerView
    security_profile: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not."""

    status: int
    """HTTP: 401 wrong credentials, 403 not welcome, 404 unknown identity, 429 too many failures."""
    reason: str
    registered: bool
    """Whether the identity is one of ours, so that the refusal belongs on its timeline (F39)."""


class Authenticator:
    """Judges attempts against the registered chargers."""

    def __init__(
        self,
        chargers: ChargerStore,
        pepper: bytes,
        monotonic: Callable[[], float],
        *,
        unsafe_profile_0: bool = False,
    ) -> None:
        self._chargers = chargers
        self._pepper = pepper
        self._unsafe_profile_0 = unsafe_profile_0
        # By pair, so that a stranger cannot lock a charger out by failing in its name; an address
        # may be a whole site behind one router or balancer, so it gets many more.
        self._by_pair = FailureLimit(10, 60.0, monotonic)
        self._by_address = FailureLimit(300, 60.0, monotonic)

    async def admit(self, attempt: Attempt) -> Admitted | Refused:
        """Judge one attempt. Unknown identities cost the same work as known ones.

        Raises:
            EngineUnavailable: the store did not answer; nothing is known about this attempt.
        """
        pair = f"{attempt.charger_id} {attempt.address}"
        if self._by_pair.exceeded(pair) or self._by_address.exceeded(attempt.address):
            return Refused(429, "too many failed attempts; wait a minute", registered=False)
        view = await self._view(attempt.charger_id)
        credential = await self._chargers.credential(attempt.charger_id)
        verdict = self._judge(attempt, view, credential)
        if isinstance(verdict, Refused) and verdict.status in (401, 403, 404):
            self._by_pair.failed(pair)
            self._by_address.failed(attempt.address)
        return verdict

    async def _view(self, charger_id: str) -> ChargerView | None:
        try:
            return await self._chargers.get(charger_id)
        except NotFound:
            return None

    def _judge(
        self, attempt: Attempt, view: ChargerView | None, credential: ChargerCredential | None
    ) -> Admitted | Refused:
        password = basic_password(attempt.authorization, attempt.charger_id)
        stored = credential.secret_hmac if credential else bytes(hashlib.sha256().digest_size)
        proved = secret_matches(self._pepper, stored, password or b"", hex_forms=attempt.is_1_6)
        if view is None:
            return Refused(404, "no charger is registered under this identity", registered=False)
        if credential is None:
            unproved = self._without_credential()
        elif password is None:
            unproved = "no basic credentials with this identity as the username"
        else:
            unproved = "" if proved else "wrong password"
        if unproved:
            return Refused(401, unproved, registered=True)
        if view.charger.lifecycle in (Lifecycle.QUARANTINED, Lifecycle.RETIRED):
            return Refused(403, f"the charger is {view.charger.lifecycle.value}", registered=True)
        profile = 0 if credential is None else 2 if attempt.tls else 1
        return Admitted(view, profile)

    def _without_credential(self) -> str:
        return "" if self._unsafe_profile_0 else "no password is registered for this charger"
