"""What a charger can do, as far as it is known: the command path is chosen by this, never by a brand (F58).

Three sources, the first that knows decides: what an operator declared for the model, what is known of
the brand's firmware (``csms.quirks``), what the charger told. What nobody knows stays None.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class CertificateForm(StrEnum):
    """How a charger wants the firmware signing certificate (whitepaper edition 1 against 2 and 3)."""

    PEM = "pem"
    DER_HEX = "der-hex"


@dataclass(frozen=True, slots=True)
class Declared:
    """What was declared of a model or a brand; None: nothing, so that the charger's own word counts."""

    updates: bool | None = None
    """Whether it takes any update at all."""
    signed_update: bool | None = None
    transfers: tuple[str, ...] | None = None
    """Upper case, as OCPP's FileTransferProtocol: HTTP, HTTPS, FTP, FTPS, SFTP."""
    certificate_form: CertificateForm | None = None
    certificate_chain_chars: int | None = None
    """The longest CertificateSigned chain it takes."""
    items_per_get: int | None = None
    items_per_set: int | None = None
    bytes_per_message: int | None = None
    goes_back: bool | None = None
    """Whether it takes an earlier version again; False: an update of it is for good (X11)."""

    holds_install: bool | None = None
    """Whether it fetches ahead and installs only when told (R20); False: it gets both in one order."""

    def over(self, other: "Declared") -> "Declared":
        """This, and where it is silent, the other."""
        mine: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return Declared(
            **{name: getattr(other, name) if value is None else value for name, value in mine.items()}
        )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One charger's capabilities; ``told`` has its own words where it gave any."""

    dialect: str | None
    """The negotiated subprotocol."""
    known: Declared
    feature_profiles: tuple[str, ...] = ()
    """1.6 SupportedFeatureProfiles; 2.x the controllers that say they are available."""
    told_at_version: str | None = None
    """The firmware version whose answers these are, where the charger told that with them."""

    @property
    def takes_signed(self) -> bool | None:
        """Whether it takes a signed update; None: only its session can tell."""
        return False if self.known.updates is False else self.known.signed_update

    def fetches(self, scheme: str) -> bool | None:
        """Whether it can fetch an image by this scheme (``https``); None: unknown."""
        transfers = self.known.transfers
        return None if transfers is None else scheme.upper() in transfers
