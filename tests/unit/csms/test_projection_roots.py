"""Which roots a charger trusts, in its twin."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.projection import project
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from storage.events import EventRecord
from storage.reports import CertificatesListed
from storage.twin import TwinState

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CSMS, MAKER = CertificateUse.CSMS_ROOT, CertificateUse.MANUFACTURER_ROOT
LEAF = CertificateUse.CHARGING_STATION


def listed(
    second: int, *found: tuple[CertificateUse, str], uses: tuple[CertificateUse, ...] = ()
) -> EventRecord:
    certificates = tuple(
        InstalledCertificate(use, CertificateHash(HashAlgorithm.SHA256, "aa", "bb", serial))
        for use, serial in found
    )
    at = T0 + timedelta(seconds=second)
    return EventRecord("CP-1", CertificatesListed(uses, certificates), at, at, 1)


def roots(twin: TwinState) -> tuple[str, ...]:
    assert twin.security
    return twin.security.roots


@pytest.mark.requirement("F9")
def test_installed_roots_are_known_and_a_partial_list_replaces_its_part() -> None:
    twin = project(TwinState("CP-1"), listed(1, (CSMS, "01"), (MAKER, "02"), (LEAF, "03")))
    assert roots(twin) == ("CSMSRootCertificate/bb/01", "ManufacturerRootCertificate/bb/02")
    twin = project(twin, listed(2, (CSMS, "04"), uses=(CSMS,)))
    assert roots(twin) == ("CSMSRootCertificate/bb/04", "ManufacturerRootCertificate/bb/02")
    assert project(twin, listed(1)) is twin, "an older list says nothing new"
    assert roots(project(twin, listed(3))) == ()
