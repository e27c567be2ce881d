"""Facts for tests of rules, as values to be replaced in part."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from activities.facts import ArtifactFacts, SiteFacts, Situation
from storage.artifact import Compatible
from storage.charger import SignatureScheme
from storage.twin import Lifecycle
from workflows.eligibility import ChargerFacts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

ARTIFACT = ArtifactFacts(
    artifact_id="a" * 64,
    vendor_role="voltworks",
    version="1.1",
    release_counter=2,
    compatible=(Compatible("Voltworks", "VW-22", ("C", "D")), Compatible("Voltworks", "VW-11")),
    schemes=(SignatureScheme.ECDSA_P256,),
    released=True,
)
IDLE = Situation(
    vendor="Voltworks",
    model="VW-22",
    hardware_revision="C",
    lifecycle=Lifecycle.ACTIVE,
    version="1.0",
    installed_counter=1,
    online=True,
    heard_recently=True,
    busy=None,
    session=False,
    free_at=None,
    maintenance=None,
    takes_signed=True,
    unsigned_waiver=False,
    scheme=SignatureScheme.ECDSA_P256,
    needs_reset=False,
)
SITE = SiteFacts("berlin-1", 0, 1)


def charger(**changes: Any) -> ChargerFacts:
    """A ready charger, but for these changes of its situation."""
    return ChargerFacts(replace(IDLE, **changes), ARTIFACT, SITE)
