"""Block M, certificates on the station (M03 to M05)."""

from typing import Any

import pytest

from csms.commands import (
    AnswerStatus,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
)
from storage.certificate_use import CertificateHash, CertificateUse
from tests.integration.conformance.certificates import Authority, hash_data
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F41"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

CSMS_ROOT, MAKER_ROOT = CertificateUse.CSMS_ROOT, CertificateUse.MANUFACTURER_ROOT
ALGORITHMS = ("SHA256", "SHA384", "SHA512")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


async def install(csms: Any, station: Any, use: CertificateUse, root: str, answer: str) -> AnswerStatus:
    """Install a root, to which the station says this; what we made of it."""
    station.will_answer("InstallCertificate", status=answer)
    answered = await csms.send(InstallCertificate(use, root))
    assert await station.heard("InstallCertificate") == {"certificateType": use.value, "certificate": root}
    assert await csms.answered("InstallCertificate") == [answer]
    status: AnswerStatus = answered.status
    return status


async def list_them(csms: Any, station: Any, asked: Any, *found: tuple[CertificateUse, Any]) -> Any:
    """List certificates of these uses, of which the station has those found; our answer."""
    chain = [{"certificateType": use.value, "certificateHashData": data} for use, data in found]
    said = {"status": "Accepted", "certificateHashDataChain": chain} if found else {"status": "NotFound"}
    station.will_answer("GetInstalledCertificateIds", **said)
    answer = await csms.send(GetInstalledCertificateIds(asked))
    sent = await station.heard("GetInstalledCertificateIds")
    assert sent == ({"certificateType": [use.value for use in asked]} if asked else {})
    return answer


@pytest.mark.parametrize(
    "use", [pytest.param(CSMS_ROOT, id="tc_m_01"), pytest.param(MAKER_ROOT, id="tc_m_02")]
)
async def test_tc_m_01_02_a_root_is_installed(
    csms: Any, version: str, authority: Authority, use: CertificateUse
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        assert await install(csms, station, use, authority.pem, "Accepted") is AnswerStatus.ACCEPTED


async def test_tc_m_05_an_installation_fails(csms: Any, version: str, authority: Authority) -> None:
    async with csms.station(version) as station:
        await station.ready()
        assert await install(csms, station, CSMS_ROOT, authority.pem, "Failed") is AnswerStatus.FAILED


async def test_tc_m_12_csms_roots_are_listed_by_every_algorithm(
    csms: Any, version: str, authority: Authority
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        for algorithm in ALGORITHMS:
            data = hash_data(authority.root, algorithm)
            answer = await list_them(csms, station, (CSMS_ROOT,), (CSMS_ROOT, data))
            (one,) = answer.certificates
            assert (one.use, one.hash) == (CSMS_ROOT, named(data))


async def test_tc_m_13_manufacturer_roots_are_listed(csms: Any, version: str, authority: Authority) -> None:
    async with csms.station(version) as station:
        await station.ready()
        data = hash_data(authority.root)
        answer = await list_them(csms, station, (MAKER_ROOT,), (MAKER_ROOT, data))
        assert [(one.use, one.hash) for one in answer.certificates] == [(MAKER_ROOT, named(data))]


@pytest.mark.parametrize(
    "asked", [pytest.param((CSMS_ROOT, MAKER_ROOT), id="tc_m_17"), pytest.param((), id="tc_m_18")]
)
async def test_tc_m_17_18_several_kinds_are_listed(
    csms: Any, version: str, authority: Authority, asked: tuple[CertificateUse, ...]
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        found = ((CSMS_ROOT, hash_data(authority.root)), (MAKER_ROOT, hash_data(Authority.create().root)))
        answer = await list_them(csms, station, asked, *found)
        assert [(one.use, one.hash) for one in answer.certificates] == [
            (use, named(data)) for use, data in found
        ]


async def test_tc_m_19_nothing_is_found(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        answer = await list_them(csms, station, (MAKER_ROOT,))
        assert (answer.status, answer.certificates) == (AnswerStatus.NOT_FOUND, ())


@pytest.mark.parametrize(
    ("answers", "meaning"),
    [
        pytest.param(ALGORITHMS, AnswerStatus.ACCEPTED, id="tc_m_20"),
        pytest.param(ALGORITHMS[:1], AnswerStatus.FAILED, id="tc_m_21"),
    ],
)
async def test_tc_m_20_21_a_certificate_is_deleted_by_the_name_the_station_gave(
    csms: Any, version: str, authority: Authority, answers: tuple[str, ...], meaning: AnswerStatus
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        assert await install(csms, station, CSMS_ROOT, authority.pem, "Accepted") is AnswerStatus.ACCEPTED
        for algorithm in answers:
            data = hash_data(authority.root, algorithm)
            listed = await list_them(csms, station, (CSMS_ROOT,), (CSMS_ROOT, data))
            station.will_answer("DeleteCertificate", status=meaning.value)
            answer = await csms.send(DeleteCertificate(listed.certificates[0].hash))
            # M04.FR.07: with the algorithm that the station used.
            assert await station.heard("DeleteCertificate") == {"certificateHashData": data}
            assert answer.status is meaning


def named(data: dict[str, Any]) -> CertificateHash:
    """Hash data as we keep it."""
    return CertificateHash(
        data["hashAlgorithm"], data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"]
    )
