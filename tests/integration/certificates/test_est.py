"""An outside authority over EST, on real TLS: how it is asked, waited for, and not believed (RFC 7030)."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates

from csms.pki.path import CertificatePath, find_path
from signing.ca.builtin import BuiltInAuthority
from signing.ca.ceremony import ensure_development_authority, read_authority
from signing.ca.csr import CsrPolicy
from signing.ca.est import MAX_ANSWER, EstAuthority, EstServer, retry_after
from signing.ca.ports import Applicant
from signing.ca.profile import ChargerProfile
from signing.errors import AuthorityBusy, CertificateRefused
from storage.clock import system_clock
from storage.errors import InvalidInput
from tests.support.csrs import SERIAL, csr
from tests.support.est_responder import EstResponder, Habits, est_server
from tests.support.tls_bench import TlsBench

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S54")]
WHO = Applicant("CP-1", SERIAL, "Volt", "V2")


@asynccontextmanager
async def est(
    folder: Path, habits: Habits, *, label: str | None = None, basic: tuple[str, str] | None = None
) -> AsyncIterator[tuple[EstAuthority, EstResponder]]:
    address, certificates = ensure_development_authority(folder / "authority", system_clock())
    theirs = BuiltInAuthority(address, certificates.read_text(), CsrPolicy(), ChargerProfile())
    responder = EstResponder(theirs, certificates.read_text(), habits)
    async with est_server(responder, TlsBench(folder)) as (url, trust):
        house = EstAuthority(EstServer(url, trust, label, basic), CsrPolicy())
        try:
            yield house, responder
        finally:
            await house.close()


@pytest.mark.parametrize("habits", [Habits(), Habits(raw_der=True, with_chain=True)], ids=["rfc", "others"])
async def test_a_certificate_is_enrolled_and_renewed(tmp_path: Path, habits: Habits) -> None:
    async with est(tmp_path, habits, label="chargers") as (house, responder):
        issued = await house.issue(csr(), WHO, system_clock(), renews=False)
        again = await house.issue(csr(), WHO, system_clock(), renews=True)
    assert [operation for operation, _ in responder.habits.asked] == ["simpleenroll", "simplereenroll"]
    assert issued.serial != again.serial
    chain = x509.load_pem_x509_certificates(issued.chain.encode())
    anchors = read_authority((tmp_path / "authority" / "charger-ca.pem").read_text())
    assert isinstance(find_path(chain[0], chain[1:], anchors[1:], system_clock()), CertificatePath)
    assert issued.key_sha256 == house.judge(csr(), WHO).key_sha256


async def test_a_server_that_has_a_person_look_is_asked_again_with_the_same_request(tmp_path: Path) -> None:
    async with est(tmp_path, Habits(waits=1, retry_after="7")) as (house, responder):
        request = csr()
        with pytest.raises(AuthorityBusy) as caught:
            await house.issue(request, WHO, system_clock(), renews=False)
        assert caught.value.retry_after_s == 7
        await house.issue(request, WHO, system_clock(), renews=False)
        first, second = responder.habits.asked
        assert first == second, "RFC 7030 section 4.2.3: the identical request"


async def test_it_proves_who_it_is_and_says_what_is_wrong_otherwise(tmp_path: Path) -> None:
    habits = Habits(basic=("ampwave", "secret"))
    async with est(tmp_path, habits, basic=("ampwave", "secret")) as (house, _):
        await house.issue(csr(), WHO, system_clock(), renews=False)
    async with est(tmp_path, habits) as (house, _):
        with pytest.raises(AuthorityBusy, match="does not know us"):
            await house.issue(csr(), WHO, system_clock(), renews=False)


@pytest.mark.parametrize(
    ("habits", "error", "said"),
    [
        (Habits(refuses="no such\ndevice"), CertificateRefused, "no such device"),
        (Habits(status=503), AuthorityBusy, "503"),
        (Habits(answers=b"<html>"), AuthorityBusy, "no certificates"),
        (Habits(answers=b"A" * (MAX_ANSWER + 1)), AuthorityBusy, "more than"),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    tmp_path: Path, habits: Habits, error: type[Exception], said: str
) -> None:
    async with est(tmp_path, habits) as (house, _):
        with pytest.raises(error, match=said):
            await house.issue(csr(), WHO, system_clock(), renews=False)


async def test_what_it_answers_is_not_believed_as_it_is(tmp_path: Path) -> None:
    async with est(tmp_path, Habits()) as (house, responder):
        anchors = read_authority((tmp_path / "authority" / "charger-ca.pem").read_text())
        responder.habits.answers = serialize_certificates(list(anchors), Encoding.DER)
        with pytest.raises(CertificateRefused, match="for another key"):
            await house.issue(csr(), WHO, system_clock(), renews=False)
        with pytest.raises(CertificateRefused, match="the charger that asks is"):
            await house.issue(csr("SN-2"), WHO, system_clock(), renews=False)
        assert responder.habits.asked[1:] == [], "what is wrong here already is not asked for"


async def test_an_untrusted_or_silent_server_is_waited_for(tmp_path: Path) -> None:
    async with est(tmp_path, Habits()) as (house, _):
        stranger = EstAuthority(
            EstServer(house._server.url, ssl.create_default_context()),
            CsrPolicy(),
        )
        with pytest.raises(AuthorityBusy, match="cannot be reached"):
            await stranger.issue(csr(), WHO, system_clock(), renews=False)
        await stranger.close()
    with pytest.raises(InvalidInput, match="no https"):
        EstAuthority(EstServer("http://est.example", ssl.create_default_context()), CsrPolicy())


def test_how_long_to_wait_is_read_with_care() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    later = (now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert [retry_after(each, now) for each in (None, "5", later, "soon", "0", "9" * 400)] == [
        *(60.0, 5.0, 90.0, 60.0, 1.0, 3600.0)
    ]
