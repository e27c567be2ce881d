"""Making an authority: the root on a machine that is offline, the issuing key where the signer can use it.

Three steps, and only a request and a certificate travel between the machines:

1. offline: a root, with a key at an address of that machine;
2. signer: a request for the issuing authority, by the key at its address;
3. offline: the root says yes to that request, which a person compares by its fingerprint.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signing.ca.key import AddressedKey, key_digest
from signing.ca.profile import authority_builder, subject_of
from signing.errors import CertificateRefused
from signing.keys import file_address, write_new
from storage.errors import Conflict, InvalidInput


def make_key(path: Path) -> str:
    """A new P-256 key in a file (0600); its address. Raises Conflict where there is a file already."""
    key = ec.generate_private_key(ec.SECP256R1())
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if not write_new(path, data, 0o600):
        raise Conflict(f"{path} is there already; a key is never overwritten.", hint="Give another name.")
    return file_address(path)


def make_root(address: str, name: str, now: datetime) -> str:
    """A self-signed root by the key at an address, PEM. Raises KeyUnavailable."""
    key = AddressedKey(address)
    builder = authority_builder(subject_of(name), None, key.public_key(), now)
    return _pem(builder.sign(key, key.hash))


def request_issuing(address: str, name: str) -> str:
    """A request for an issuing authority by the key at an address, PEM. Raises KeyUnavailable."""
    key = AddressedKey(address)
    request = x509.CertificateSigningRequestBuilder().subject_name(subject_of(name))
    return request.sign(key, key.hash).public_bytes(Encoding.PEM).decode()


def sign_issuing(root_pem: str, address: str, request_pem: str, now: datetime) -> str:
    """The issuing authority's certificate below a root, with the root behind it, PEM.

    Raises:
        CertificateRefused: the request does not hold, or the key is not the root's.
        KeyUnavailable: the key cannot be reached.
    """
    root = read_authority(root_pem)[0]
    key = AddressedKey(address)
    if key.public_key() != root.public_key():
        raise CertificateRefused("The key at this address is not the root's.", hint="Give the root's key.")
    request = _request(request_pem)
    public = request.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or public == root.public_key():
        raise CertificateRefused("An issuing authority has an EC key of its own.")
    builder = authority_builder(request.subject, root, public, now)
    return _pem(builder.sign(key, key.hash)) + _pem(root)


def _request(pem: str) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        holds = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput("This is no signing request that can be read (PEM).") from error
    if not holds:
        raise CertificateRefused("The request was not signed by its own key.")
    return request


def read_authority(pem: str) -> tuple[x509.Certificate, ...]:
    """The certificates of an authority, its own first. Raises InvalidInput if they do not hang together."""
    try:
        found = tuple(x509.load_pem_x509_certificates(pem.encode()))
        for child, parent in zip(found, (*found[1:], found[-1]), strict=True):
            if child is not parent or child.subject == child.issuer:
                child.verify_directly_issued_by(parent)
            if not child.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise InvalidInput(f"{child.subject.rfc4514_string()!r} is no authority.")
    except InvalidInput:
        raise
    except Exception as error:  # the parser and the verifier raise many kinds, and each means the same
        raise InvalidInput(
            "These are no certificates of an authority, its own first and the root last (PEM)."
        ) from error
    return found


def fingerprint(pem: str) -> str:
    """Of the key in a certificate or a request, for reading aloud."""
    if "CERTIFICATE REQUEST" not in pem:
        return key_digest(read_authority(pem)[0])
    import hashlib

    from cryptography.hazmat.primitives.serialization import PublicFormat

    public = _request(pem).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def ensure_development_authority(folder: Path, now: datetime) -> tuple[str, Path]:
    """Address and certificates of an authority in a folder, made at the first call; for DEVELOPMENT.

    Both keys lie there, so whoever reads the folder issues certificates.
    """
    root_key, root = folder / "charger-ca-root.key", folder / "charger-ca-root.pem"
    key, certificates = folder / "charger-ca.key", folder / "charger-ca.pem"
    if not certificates.exists():
        for path in (root_key, key):
            if not path.exists():
                make_key(path)
        if not root.exists():
            pem = make_root(file_address(root_key), "Ampwave development charger root", now)
            write_new(root, pem.encode(), 0o644)
        request = request_issuing(file_address(key), "Ampwave development charger authority")
        signed = sign_issuing(root.read_text(), file_address(root_key), request, now)
        write_new(certificates, signed.encode(), 0o644)
    return file_address(key), certificates


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
