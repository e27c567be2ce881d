"""Whether a charger's certificate signing request is fit to be signed at all (A02; keys: A00.FR.502, 503)."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MIN_EC_BITS = 224


def refusal(pem: str) -> str | None:
    """Why it is not, or None. Who asks, and for which name, is judged by whoever signs."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        # The key first: to check a signature of a far too long one takes long as well.
        unfit = _unfit(request.public_key())
        if unfit is None and not request.is_signature_valid:
            return "its signature is not that of its key"
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"not a signing request that can be read: {type(error).__name__}"
    return unfit


def _unfit(key: object) -> str | None:
    match key:
        case rsa.RSAPublicKey():
            kind, bits, least = "RSA", key.key_size, MIN_RSA_BITS
            if bits > MAX_RSA_BITS:
                return f"a key of RSA {bits} is too long; {MAX_RSA_BITS} at most"
        case ec.EllipticCurvePublicKey():
            kind, bits, least = "EC", key.curve.key_size, MIN_EC_BITS
        case _:
            return "its key is neither RSA nor EC"
    return None if bits >= least else f"a key of {kind} {bits} is too short; {least} at least"
