"""Making OCPP's firmware signature with a key at an address, for those who sign their own images.

Only the digest of the image is needed, so neither its size nor its content reaches the key (S39).
"""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from signing.addresses import FILE_SCHEME, HSM_SCHEME, holder_of
from signing.errors import KeyUnavailable
from signing.keys import private_file
from signing.tokens import sign_digest_on_token
from storage.charger import SignatureScheme

_DIGEST = Prehashed(hashes.SHA256())
_PSS_32 = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def sign_image_digest(address: str, scheme: SignatureScheme, digest: bytes) -> bytes:
    """The signature over an image's SHA-256 digest under a scheme. Raises KeyUnavailable."""
    holder = holder_of(address)
    if holder.scheme == HSM_SCHEME:
        return sign_digest_on_token(address, scheme, digest)
    if holder.scheme == FILE_SCHEME:
        return _by_file(address, scheme, digest)
    raise KeyUnavailable(
        f"Images are signed by keys in files and on tokens, not in {holder.words}.",
        hint="Let that service sign the image's SHA-256 digest and upload the signature.",
    )


def _by_file(address: str, scheme: SignatureScheme, digest: bytes) -> bytes:
    path = private_file(address)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyUnavailable(f"{path} is not an unencrypted private key (PEM).") from error
    if scheme is SignatureScheme.ECDSA_P256:
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return key.sign(digest, ec.ECDSA(_DIGEST))
    elif isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, _PSS_32 if scheme is SignatureScheme.RSA_PSS else padding.PKCS1v15(), _DIGEST)
    raise KeyUnavailable(f"The key at {address} is no key for {scheme.value}.")
