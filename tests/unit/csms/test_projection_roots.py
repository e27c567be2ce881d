"""Which roots a charger trusts, in its twin."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.projection import project
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from storage.events import EventRecord, VariablesReported
from storage.reports import CertificatesListed, LocalListTold
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


@pytest.mark.requirement("F64")
def test_the_version_of_a_local_list_is_known_and_an_older_word_says_nothing_new() -> None:
    def told(second: int, event: LocalListTold | VariablesReported) -> EventRecord:
        at = T0 + timedelta(seconds=second)
        return EventRecord("CP-1", event, at, at, 1)

    twin = project(TwinState("CP-1"), told(2, LocalListTold(7)))
    assert project(twin, told(1, LocalListTold(6))) is twin
    twin = project(twin, told(3, VariablesReported({"A.B": "1"}, "answer")))
    assert twin.configuration
    assert (twin.configuration.local_list_version, twin.configuration.values) == (7, {"A.B": "1"})
