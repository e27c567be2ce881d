"""What a download address must be for a charger that is to fetch from it."""

from urllib.parse import urlsplit

from activities.tickets import FetchWindow
from csms.capabilities import of_charger
from storage.charger import ModelProfile
from storage.ports import ChargerView

# OCPP 1.6 security whitepaper and 2.0.1 FirmwareType; OCPP 2.1 has room for more (S34).
_LOCATION = 512
_LONG_LOCATION = 2000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""What never leaves this machine needs no encryption: the bench of `ampwave up`."""


def unfetchable(view: ChargerView, profile: ModelProfile | None, location: str) -> str | None:
    """Why a charger that told how it fetches would only end in DownloadFailed here, or None."""
    able, scheme = of_charger(view.charger, view.twin, profile), urlsplit(location).scheme
    if able.fetches(scheme) is not False:
        return None
    return f"it fetches by {', '.join(able.known.transfers or ())}, and not by {scheme.upper()}"


def fetch_window(view: ChargerView, profile: ModelProfile | None, seconds: float) -> FetchWindow:
    """At once, and by plain HTTP if the charger told, or its model is declared, to know no HTTPS."""
    able = of_charger(view.charger, view.twin, profile)
    plain = able.fetches("https") is False and able.fetches("http") is True
    return FetchWindow(seconds, plain=plain)


def unsendable(view: ChargerView, profile: ModelProfile | None, location: str, *, signed: bool) -> str | None:
    """Why a download address must not go to a charger, or cannot be used by it; None: it may."""
    dialect = view.twin.connectivity.dialect if view.twin.connectivity else None
    longest = _LONG_LOCATION if dialect == "ocpp2.1" else _LOCATION
    if len(location) > longest:
        return f"its download address has {len(location)} characters, {dialect or 'OCPP'} allows {longest}"
    parts = urlsplit(location)
    if not signed and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        return f"an update without a signature goes over https only, not {parts.scheme}"  # S37
    return unfetchable(view, profile, location)
