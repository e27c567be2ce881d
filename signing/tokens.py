"""PKCS#11 tokens: opened by one process, one caller at a time, and never asked twice with a wrong PIN.

A PKCS#11 library is one per process and its sessions share one login, so concurrent callers fail each
other (measured on SoftHSM: 87 % of signatures of eight threads). Therefore everything here runs under one
lock (S63). Only digests reach the token (S39).
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote_plus

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.signer import Key, Signature, Signer

from signing.addresses import HSM_SCHEME, holder_of
from signing.errors import KeyUnavailable, SigningError
from storage.charger import SignatureScheme

if TYPE_CHECKING:
    import pkcs11

TokenPublic = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

DEFAULT_ID = 2
"""PIV's slot for digital signatures, as securesystemslib has it."""
_LIBRARY = "PYKCS11LIB"
"""Where securesystemslib looks for the module."""
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 (RFC 8017 section 9.2), which PKCS#1 v1.5 signs around the digest."""

_lock = threading.RLock()


@dataclass(slots=True)
class TokenAccess:
    """How this process reaches its tokens; handed to ``use`` once, since the library is one per process."""

    module: Path | None = None
    pin: Callable[[], str | None] = field(default=lambda: None, repr=False)
    wrong: bool = field(default=False, init=False)
    """The token refused this PIN: asking again would burn its retries until it locks itself."""


_access = TokenAccess()


def use(access: TokenAccess) -> None:
    """From now on tokens are reached like this."""
    global _access  # noqa: PLW0603 - a PKCS#11 library is one per process, whoever opens it
    with _lock:
        _access = access
        if access.module is not None:
            os.environ[_LIBRARY] = str(access.module)


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """``hsm:<id>?label=<token>``, as securesystemslib writes it."""

    key_id: int
    label: str | None = None

    @classmethod
    def parse(cls, address: str) -> "TokenAddress":
        """Raises KeyUnavailable."""
        holder_of(address)
        number, _, query = address.removeprefix(f"{HSM_SCHEME}:").partition("?")
        if number and not (number.isascii() and number.isdigit() and int(number) < 2**31):
            raise KeyUnavailable(
                "A token's address is hsm:<number>?label=<token>.", hint="As in hsm:2?label=ampwave."
            )
        label = dict(parse_qsl(query)).get("label")
        return cls(int(number) if number else DEFAULT_ID, label)

    def __str__(self) -> str:
        tail = f"?label={quote_plus(self.label)}" if self.label else ""
        return f"{HSM_SCHEME}:{self.key_id}{tail}"

    @property
    def id_bytes(self) -> bytes:
        """As the token knows it (CKA_ID): big-endian, no leading zero."""
        return self.key_id.to_bytes(max(1, (self.key_id.bit_length() + 7) // 8), "big")


class TokenSigner(Signer):
    """A signer of securesystemslib, one caller at a time."""

    def __init__(self, inner: Signer) -> None:
        self._inner = inner

    @property
    def public_key(self) -> Key:
        """The public half."""
        return self._inner.public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: Callable[[str], str] | None = None
    ) -> "TokenSigner":
        """Does not touch the token yet. Raises KeyUnavailable or what securesystemslib raises."""
        address = TokenAddress.parse(priv_key_uri)
        return cls(Signer.from_priv_key_uri(str(address), public_key, secrets_handler or _pin))

    def sign(self, payload: bytes) -> Signature:
        """Raises KeyUnavailable."""
        with _exclusive():
            return self._inner.sign(payload)


def public_on_token(address: str) -> TokenPublic:
    """The public half of a key on a token. Raises KeyUnavailable."""
    where = TokenAddress.parse(address)
    with _exclusive():
        # Most tokens show public keys to everybody, some only after a login.
        with _token(where).open() as session:
            found = _objects(session, where, private=False)
            if len(found) == 1:
                return _public(found[0])
        with _session(where) as session:
            return _public(_one(session, where, private=False))


def create_on_token(address: str, label: str) -> TokenPublic:
    """Make a P-256 key that never leaves the token, under an id that is free. Raises KeyUnavailable."""
    where = TokenAddress.parse(address)
    with _exclusive(), _session(where, write=True) as session:
        from pkcs11 import Attribute, KeyType
        from pkcs11.util.ec import encode_named_curve_parameters

        if list(session.get_objects({Attribute.ID: where.id_bytes})):
            raise KeyUnavailable(f"{where} is taken; a key is never overwritten.", hint="Take another id.")
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
        public, _ = parameters.generate_keypair(id=where.id_bytes, label=label, store=True)
        return _public(public)


def sign_digest_on_token(address: str, scheme: SignatureScheme, digest: bytes) -> bytes:
    """OCPP's firmware signature over a SHA-256 digest, by a P-256 or RSA key. Raises KeyUnavailable."""
    if len(digest) != hashlib.sha256().digest_size:
        raise KeyUnavailable("Only a SHA-256 digest is signed.")
    where = TokenAddress.parse(address)
    with _exclusive(), _session(where) as session:
        from pkcs11 import MGF, KeyType, Mechanism
        from pkcs11.util.ec import encode_ecdsa_signature

        key = _one(session, where, private=True)
        kind = KeyType.EC if scheme is SignatureScheme.ECDSA_P256 else KeyType.RSA
        if key.key_type is not kind:
            # Asked all the same, SoftHSM 2.6 ends the whole process with a segmentation fault.
            raise KeyUnavailable(f"The key at {where} is no key for {scheme.value}.")
        if scheme is SignatureScheme.ECDSA_P256:
            return bytes(encode_ecdsa_signature(key.sign(digest, mechanism=Mechanism.ECDSA)))
        if scheme is SignatureScheme.RSA_PSS:
            salt_32 = (Mechanism.SHA256, MGF.SHA256, 32)
            return bytes(key.sign(digest, mechanism=Mechanism.RSA_PKCS_PSS, mechanism_param=salt_32))
        return bytes(key.sign(_SHA256_PREFIX + digest, mechanism=Mechanism.RSA_PKCS))


@contextmanager
def _exclusive() -> Iterator[None]:
    """One caller; what the library raises becomes ours, and a wrong PIN is remembered."""
    with _lock:
        try:
            yield
        except SigningError:
            raise
        except Exception as error:  # the library raises dozens of kinds, most without a text
            if type(error).__name__.startswith("Pin"):
                _access.wrong = True
                raise KeyUnavailable(
                    f"The token refuses its PIN ({type(error).__name__}); it is not asked again.",
                    hint="Put the right PIN into AMPWAVE_PKCS11_PIN_FILE and start this process anew.",
                ) from None
            said = str(error) if isinstance(error, ValueError) else ""
            raise KeyUnavailable(
                f"The token did not answer as asked: {said or type(error).__name__}.",
                hint="Check AMPWAVE_PKCS11_MODULE, the token's label and the key's id.",
            ) from error


def _pin(_: str) -> str:
    if _access.wrong:
        raise KeyUnavailable(
            "The token refused this PIN before; it is not asked again, or it would lock itself.",
            hint="Put the right PIN into AMPWAVE_PKCS11_PIN_FILE and start this process anew.",
        )
    pin = _access.pin()
    if not pin:
        raise KeyUnavailable("The token needs a PIN.", hint="Set AMPWAVE_PKCS11_PIN_FILE to a file with it.")
    return pin


def _token(where: TokenAddress) -> "pkcs11.Token":
    import pkcs11

    library = os.environ.get(_LIBRARY)
    if not library:
        raise KeyUnavailable(
            "No PKCS#11 module is named.", hint="Set AMPWAVE_PKCS11_MODULE, as in /usr/lib/libykcs11.so."
        )
    flags = pkcs11.TokenFlag.TOKEN_INITIALIZED
    return pkcs11.lib(library).get_token(token_label=where.label, token_flags=flags)


@contextmanager
def _session(where: TokenAddress, *, write: bool = False) -> Iterator["pkcs11.Session"]:
    with _token(where).open(rw=write, user_pin=_pin("pin")) as session:
        yield session


def _objects(session: "pkcs11.Session", where: TokenAddress, *, private: bool) -> list[Any]:
    from pkcs11 import Attribute, ObjectClass

    kind = ObjectClass.PRIVATE_KEY if private else ObjectClass.PUBLIC_KEY
    return list(session.get_objects({Attribute.CLASS: kind, Attribute.ID: where.id_bytes}))


def _one(session: "pkcs11.Session", where: TokenAddress, *, private: bool) -> Any:
    found = _objects(session, where, private=private)
    if len(found) != 1:
        raise KeyUnavailable(
            f"The token has {len(found) or 'no'} keys under {where}.",
            hint="Make one: ampwave key create hsm:<id>?label=<token>"
            if not found
            else "Give each key its own id.",
        )
    return found[0]


def _public(key: Any) -> TokenPublic:
    from pkcs11 import KeyType
    from pkcs11.util.ec import encode_ec_public_key
    from pkcs11.util.rsa import encode_rsa_public_key

    encode = encode_ec_public_key if key.key_type is KeyType.EC else encode_rsa_public_key
    public = load_der_public_key(encode(key))
    if not isinstance(public, TokenPublic):
        raise KeyUnavailable("The token's key is neither P-256 nor RSA.")
    return public
