"""Keys are addresses: ``file2:/path``, ``hsm:``, ``awskms:`` and others, wherever they live.

What each kind of address means is in ``addresses``; securesystemslib opens them. Public keys travel as
JSON files. A private key never appears in an error, a log or a return value.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import (
    AWSSigner,
    AzureSigner,
    CryptoSigner,
    GCPSigner,
    Key,
    Signer,
    SSlibKey,
    VaultSigner,
)

from signing.addresses import FILE_SCHEME, HSM_SCHEME, holder_of
from signing.errors import KeyUnavailable, SigningError, VerificationFailed
from signing.tokens import TokenSigner, public_on_token


def keyid_of(key: Key) -> str:
    """SHA-256 of the canonical key: the only key id we accept (S3)."""
    canonical = encode_canonical({"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval})
    return hashlib.sha256((canonical or "").encode()).hexdigest()


def key_material(key: Key) -> bytes:
    """The public key itself (DER), the same whatever its id, scheme or spelling (S2, TAP 12).

    Raises VerificationFailed for a kind of key that we cannot compare.
    """
    public = key.keyval.get("public", "")
    try:
        if key.keytype == "ed25519":
            loaded = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pem = load_pem_public_key(public.encode())
        return pem.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception as error:  # the parser raises many kinds, and each of them means the same
        raise VerificationFailed(f"Key {key.keyid[:12]} ({key.keytype}) cannot be read.") from error


def write_new(path: Path, data: bytes, mode: int) -> bool:
    """Create a file whole or not at all; False if it was there. Never overwrites."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def ensure_key_file(path: Path) -> SSlibKey:
    """Create an ed25519 key as unencrypted PKCS8 PEM (0600) unless it is there; its public half.

    The public half is written beside it as ``<name>.pub.json``.
    """
    if not path.exists():
        write_new(path, CryptoSigner.generate_ed25519().private_bytes, 0o600)
    key = public_of_file(path)
    write_new(path.with_suffix(".pub.json"), public_bytes(key), 0o644)
    return key


def public_bytes(key: Key) -> bytes:
    """A public key as the JSON of its file."""
    return json.dumps({"keyid": key.keyid, **key.to_dict()}, indent=1, sort_keys=True).encode() + b"\n"


def read_public(path: Path) -> Key:
    """A public key file. Raises KeyUnavailable, also when its key id is not the key's own hash."""
    try:
        fields = json.loads(path.read_bytes())
        key = Key.from_dict(fields.pop("keyid"), fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyUnavailable(f"{path} is not a public key file.") from error
    if key.keyid != keyid_of(key):
        raise KeyUnavailable(f"The key id in {path} does not belong to its key.")
    return key


def file_address(path: Path) -> str:
    """The address of a private key file."""
    return f"{FILE_SCHEME}:{path.absolute()}"


def private_file(address: str) -> Path:
    """The file behind a ``file2:`` address, if it is its owner's alone. Raises KeyUnavailable."""
    path = Path(urlparse(address).path)
    _check_private(path)
    return path


def public_of_file(path: Path) -> SSlibKey:
    """The public half of a private key file. Raises KeyUnavailable."""
    _check_private(path)
    try:
        private = load_pem_private_key(path.read_bytes(), None)
        return SSlibKey.from_crypto(private.public_key())
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnavailable(
            f"{path} is not an unencrypted PKCS8 key.", hint="Give the address of a readable key."
        ) from error


def public_of(address: str) -> SSlibKey:
    """The public half of the key at an address, asked of its holder. Raises KeyUnavailable."""
    holder = holder_of(address)
    if holder.scheme == FILE_SCHEME:
        return public_of_file(private_file(address))
    try:
        if holder.scheme == HSM_SCHEME:
            return SSlibKey.from_crypto(public_on_token(address))
        return _public_of_service(address)
    except SigningError:
        raise
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable(
            f"{holder.words} does not tell the public half of {address}: {type(error).__name__}.",
            hint="Check the address and that this user may use it.",
        ) from error


def _public_of_service(address: str) -> SSlibKey:
    scheme, _, place = address.partition(":")
    if scheme == "awskms":
        return AWSSigner.import_(place)[1]
    if scheme == "gcpkms":
        return GCPSigner.import_(place)[1]
    if scheme == "hv":
        return VaultSigner.import_(place.partition("/")[0])[1]
    parts = urlparse(place)
    return AzureSigner.import_(parts.netloc.partition(".")[0], parts.path.split("/")[2])[1]


def open_signer(address: str, candidates: Iterable[Key], keyid: str | None = None) -> Signer:
    """The signer behind an address, for whichever of ``candidates`` it is.

    A key file and a token tell which one it is. Other addresses cannot, so with more than one candidate
    they need ``keyid``. Raises KeyUnavailable when it cannot be opened or is none of the candidates.
    """
    holder = holder_of(address)
    chosen = _choose(address, list(candidates), keyid)
    try:
        if holder.scheme == HSM_SCHEME:
            return TokenSigner.from_priv_key_uri(address, chosen)
        return Signer.from_priv_key_uri(address, chosen)
    except SigningError:
        raise
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable(
            f"The key at {address} cannot be opened: {type(error).__name__}.",
            hint="Check the address and that this user may use it.",
        ) from error


def _choose(address: str, candidates: list[Key], keyid: str | None) -> Key:
    if keyid is not None:
        candidates = [key for key in candidates if key.keyid == keyid]
    scheme, _, _ = address.partition(":")
    if scheme == FILE_SCHEME or (scheme == HSM_SCHEME and len(candidates) > 1):
        material = key_material(public_of(address))
        candidates = [key for key in candidates if key_material(key) == material]
    if not candidates:
        raise KeyUnavailable(
            f"The key at {address} is none of those that count here.",
            hint="Use a key of this role; 'ampwave key list' shows them.",
        )
    if len(candidates) > 1:
        raise KeyUnavailable(f"Say which key {address} is.", hint="Give its key id.")
    return candidates[0]


def _check_private(path: Path) -> None:
    """A key that others can read, or a group can change, is refused."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyUnavailable(f"There is no key at {path}.", hint="Check the address.") from error
    if stat.S_IMODE(mode) & 0o027:
        raise KeyUnavailable(f"{path} is open to other users.", hint=f"Run: chmod 600 {path}")
