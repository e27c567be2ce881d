"""What becomes of an attempt that somebody called back. Pure.

Calling back stops what can be stopped; it takes nothing back that happened. A charger that installs, boots
with the version, falls silent or distrusts the signature is judged as ever.
"""

from collections.abc import Iterable

from activities.facts import Sighting
from storage.events import FirmwareStatus
from workflows.attest import Finding, Judgement
from workflows.messages import Mark, UpdateEnd
from workflows.silence import installing

_WHOLE = frozenset(
    {FirmwareStatus.DOWNLOADED, FirmwareStatus.SIGNATURE_VERIFIED, FirmwareStatus.INSTALL_SCHEDULED}
)


def called_off(judged: Judgement, sightings: Iterable[Sighting]) -> UpdateEnd | None:
    """The end of a recalled attempt that never had the image, or None: it is judged as any other."""
    seen = list(sightings)
    if judged.cause is Mark.FETCH:
        return UpdateEnd(None, judged.reason)
    whole = installing(seen) or any(one.status in _WHOLE for one in seen)
    if judged.finding is Finding.OVERDUE and not whole:
        return UpdateEnd(None, "nothing came of it until the deadline")
    return None
