"""Keyed hashes of chargers' passwords and id tokens.

Passwords are random, so a keyed hash is the right store: fast enough for a whole fleet that
reconnects at once, useless without the pepper.
"""

import binascii
import hashlib
import hmac


def hash_secret(pepper: bytes, secret: str | bytes) -> bytes:
    """HMAC-SHA256 of a charger's password or an id token under the deployment's pepper."""
    return hmac.digest(pepper, secret.encode() if isinstance(secret, str) else secret, hashlib.sha256)


def secret_matches(pepper: bytes, stored: bytes, offered: bytes, *, hex_forms: bool) -> bool:
    """Whether the offered password is the stored one; every form is tried, in constant time.

    ``hex_forms``: a 1.6 AuthorizationKey is configured as hex digits, and some chargers send those
    digits while others send the bytes they stand for (seen: both, with one key).
    """
    forms = [offered]
    if hex_forms:
        # Digits may come back in another case than they were configured in.
        raw = _unhex(offered)
        forms += [raw, *_digits(offered), *_digits(raw)]
    matches = [hmac.compare_digest(hash_secret(pepper, form), stored) for form in forms]
    return any(matches)


def _digits(raw: bytes) -> tuple[bytes, bytes]:
    return raw.hex().encode(), raw.hex().upper().encode()


def _unhex(offered: bytes) -> bytes:
    try:
        return binascii.unhexlify(offered)
    except binascii.Error:
        return offered
