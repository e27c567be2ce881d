"""What stands behind a key's address: who holds it, what has to be installed, what must not be in it.

securesystemslib opens them; this table refuses, with words, what it would fail at with a traceback.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlsplit

from signing.errors import KeyUnavailable

FILE_SCHEME = "file2"
HSM_SCHEME = "hsm"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who keeps the private half."""

    scheme: str
    words: str
    module: str = ""
    """The Python module that reaches it; "": always there."""
    extra: str = ""
    """The optional requirement that brings it."""

    @property
    def installed(self) -> bool:
        """Whether this machine has what it takes."""
        try:
            return not self.module or find_spec(self.module) is not None
        except ModuleNotFoundError:  # a parent package is missing
            return False


HOLDERS = {
    holder.scheme: holder
    for holder in (
        Holder(FILE_SCHEME, "a file"),
        Holder(HSM_SCHEME, "a PKCS#11 token", "pkcs11", "hsm"),
        Holder("awskms", "AWS KMS", "boto3"),
        Holder("gcpkms", "Google Cloud KMS", "google.cloud.kms", "gcpkms"),
        Holder("azurekms", "Azure Key Vault", "azure.keyvault.keys", "azurekms"),
        Holder("hv", "HashiCorp Vault", "hvac", "hv"),
    )
}
"""By scheme, the first word of an address."""


def holder_of(address: str) -> Holder:
    """Who holds the key at an address.

    Raises KeyUnavailable for a scheme we do not know, an address that carries a secret, or an extra that
    is not installed. No part of an address that may be secret is repeated.
    """
    scheme, separator, rest = address.partition(":")
    holder = HOLDERS.get(scheme) if separator else None
    if holder is None:
        raise KeyUnavailable(
            f"{scheme[:20]!r} is no kind of key address.",
            hint=f"An address begins with {', '.join(f'{name}:' for name in HOLDERS)}.",
        )
    _check_no_secret(holder, rest)
    if not rest and scheme != HSM_SCHEME:
        raise KeyUnavailable(f"The address {address!r} names no key.")
    if not holder.installed:
        raise KeyUnavailable(
            f"{scheme}: keys in {holder.words} need a Python package that is not installed.",
            hint=f"Install it: pip install 'ampwave[{holder.extra}]'"
            if holder.extra
            else f"Install {holder.module}.",
        )
    return holder


def _check_no_secret(holder: Holder, rest: str) -> None:
    """S64: a PIN in an address would stand in settings, logs and histories."""
    parts = urlsplit(rest)
    allowed = {"label"} if holder.scheme == HSM_SCHEME else set()
    named = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if (named - allowed and holder.scheme != FILE_SCHEME) or parts.password:
        raise KeyUnavailable(
            f"This {holder.scheme}: address says more than where the key is.",
            hint="An address never carries a PIN or password; a token's PIN comes from"
            " AMPWAVE_PKCS11_PIN_FILE."
            if holder.scheme == HSM_SCHEME
            else "Credentials come from that service's own environment, never from the address.",
        )
