"""The key of an authority at an address, in the shape in which ``cryptography`` signs certificates with it.

The private half stays where it is, in a file, a token or a key service: only what is to be signed goes there.
"""

# ruff: noqa: ARG002 - what never happens needs no arguments
import hashlib
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import Key, Signer

from signing.errors import KeyUnavailable
from signing.keys import open_signer, public_of

Digest = hashes.SHA256 | hashes.SHA384
_HASHES: dict[int, type[Digest]] = {256: hashes.SHA256, 384: hashes.SHA384}
_STAYS = "The private half of a key at an address never leaves it."


class AddressedKey(ec.EllipticCurvePrivateKey):
    """A P-256 or P-384 key at an address; it can be asked to sign, and for its public half."""

    def __init__(self, address: str) -> None:
        """Raises KeyUnavailable."""
        self._address = address
        self._key: Key = public_of(address)
        public = _public(self._key, address)
        self._public = public
        self._signer: Signer | None = None

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256 or P-384."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._public.key_size

    @property
    def hash(self) -> Digest:
        """What it signs over."""
        return _HASHES[self.key_size]()

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(
        self,
        data: bytes,  # type: ignore[override]  # a Buffer, which is bytes here
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
    ) -> bytes:
        """The signature, DER. Raises KeyUnavailable, also if what came back does not hold."""
        given = bytes(data)
        if self._signer is None:
            self._signer = open_signer(self._address, [self._key])
        try:
            signature = bytes.fromhex(self._signer.sign(given).signature)
            self._public.verify(signature, given, signature_algorithm)
        except KeyUnavailable:
            raise
        except Exception as error:  # adapters raise what their libraries raise
            raise KeyUnavailable(f"The key at {self._address} could not sign a certificate.") from error
        return signature

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Never."""
        raise KeyUnavailable(_STAYS)

    def private_numbers(self) -> NoReturn:
        """Never."""
        raise KeyUnavailable(_STAYS)

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - cryptography's name
        encryption_algorithm: KeySerializationEncryption,
    ) -> NoReturn:
        """Never."""
        raise KeyUnavailable(_STAYS)

    def __copy__(self) -> "AddressedKey":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "AddressedKey":
        return self


def _public(key: Key, address: str) -> ec.EllipticCurvePublicKey:
    try:
        public = load_pem_public_key(key.keyval["public"].encode())
    except (ValueError, KeyError) as error:
        raise _no_authority(address) from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.key_size not in _HASHES:
        raise _no_authority(address)
    return public


def _no_authority(address: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"The key at {address} cannot issue certificates.",
        hint="An authority's key is ECDSA on P-256 or P-384: ampwave cert ca key FILE.",
    )


def key_digest(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's public key: how an issuer is named in our records."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()
