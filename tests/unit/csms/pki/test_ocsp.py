import gzip
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from csms.pki.ocsp import (
    MAX_CACHE,
    OcspAnswer,
    OcspQuestion,
    OcspStatus,
    OcspUnusable,
    judge_response,
    request_for,
)
from csms.pki.ocsp_client import RETRY_AFTER, OcspClient, OcspOptions
from csms.pki.path import CertificatePath, find_path
from tests.support.pki import DAY, NOW, Authority, Issued, key, ocsp_response
from tests.support.tls_bench import Streamed

ROOT = Authority.root()
LEAF = ROOT.leaf("CP-1")
QUESTION = OcspQuestion(ROOT.certificate, LEAF.serial, b"n" * 16)
OCSP_SIGNING = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)]
RESPONDER = ROOT.leaf("Responder", extensions=OCSP_SIGNING)
STATUS = ocsp.OCSPCertStatus


def judge(authority: Authority = ROOT, leaf: Issued = LEAF, **options: Any) -> OcspAnswer | OcspUnusable:
    response = ocsp_response(authority, leaf, request_for(QUESTION), **options)
    return judge_response(response, QUESTION, NOW)


@pytest.mark.requirement("S55")
@pytest.mark.parametrize("signer", [None, RESPONDER], ids=["the authority", "whom it authorised"])
@pytest.mark.parametrize("status", list(STATUS))
def test_an_answer_of_who_may_give_it_counts(signer: Issued | None, status: ocsp.OCSPCertStatus) -> None:
    answer = judge(signer=signer, status=status)
    assert isinstance(answer, OcspAnswer)
    assert answer.status is OcspStatus(status.name.lower())
    assert answer.until == NOW + timedelta(minutes=59)


@pytest.mark.requirement("S55")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"signer": ROOT.leaf("Responder")}, "not authorised"),
        ({"signer": Authority.root("Stranger").leaf("R", extensions=OCSP_SIGNING)}, "not authorised"),
        ({"signer": ROOT.leaf("Old", until=-DAY, extensions=OCSP_SIGNING)}, "responder's certificate is out"),
        ({"authority": Authority.root(key=key("ec", "forger"))}, "stranger"),
        ({"since": -timedelta(hours=2)}, "out of date"),
        ({"since": timedelta(hours=1)}, "from the future"),
        ({"since": -timedelta(minutes=10), "life": None}, "out of date"),
        ({"nonce": b"another"}, "nonce"),
        ({"leaf": ROOT.leaf("CP-2")}, "about another certificate"),
    ],
)
def test_any_other_answer_does_not(options: dict[str, Any], reason: str) -> None:
    verdict = judge(**options)
    assert isinstance(verdict, OcspUnusable)
    assert reason in verdict.reason


def test_a_signature_that_does_not_hold_is_seen() -> None:
    response = bytearray(ocsp_response(ROOT, LEAF, request_for(QUESTION)))
    response[-1] ^= 1
    verdict = judge_response(bytes(response), QUESTION, NOW)
    assert isinstance(verdict, OcspUnusable)
    assert "does not hold" in verdict.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            Encoding.DER
        ),
    ],
)
def test_what_is_no_answer_is_none(data: bytes) -> None:
    assert isinstance(judge_response(data, QUESTION, NOW), OcspUnusable)


def test_a_nonce_may_be_missing() -> None:
    assert isinstance(judge(nonce=None), OcspAnswer)


@pytest.mark.requirement("S62")
def test_an_answer_is_kept_for_a_week_at_most() -> None:
    answer = judge(life=60 * DAY)
    assert isinstance(answer, OcspAnswer)
    assert answer.until == NOW + MAX_CACHE


class Responder:
    """A responder behind the real HTTP client, and the clock of who asks."""

    def __init__(self, **options: Any) -> None:
        self.asked: list[str] = []
        self.encodings: list[str] = []
        self.status = STATUS.GOOD
        self.now = NOW
        self.options = options
        self.reply: httpx2.Response | None = None
        self.fault: Exception | None = None
        transport = httpx2.MockTransport(self._answer)
        chosen = OcspOptions(**options)
        http = httpx2.AsyncClient(transport=transport)
        self.client = OcspClient(http, chosen, lambda: self.now, lambda size: b"r" * size)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        if self.fault:
            raise self.fault
        assert request.headers["Content-Type"] == "application/ocsp-request"
        self.encodings.append(request.headers["Accept-Encoding"])
        body = ocsp_response(ROOT, LEAF, request.content, now=self.now, status=self.status)
        return self.reply or httpx2.Response(200, stream=Streamed(body))

    async def about(self, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        return await self.client.about(path)


def path_of(leaf: Issued = LEAF, at: datetime = NOW) -> CertificatePath:
    path = find_path(leaf.certificate, (), [ROOT.certificate], at)
    assert isinstance(path, CertificatePath)
    return path


@pytest.mark.requirement("S57")
async def test_an_answer_is_asked_for_anew_in_time_to_close_a_socket() -> None:
    """The answer runs out in an hour, but a socket is to be closed within one minute."""
    responder = Responder(url="http://ocsp.test/x", fresh_s=20.0)
    for _ in range(3):
        assert isinstance(await responder.about(path_of()), OcspAnswer)
    assert responder.asked == ["http://ocsp.test/x"]
    responder.now = NOW + timedelta(seconds=20)
    responder.status = STATUS.REVOKED
    answer = await responder.about(path_of())
    assert isinstance(answer, OcspAnswer)
    assert answer.status is OcspStatus.REVOKED
    assert len(responder.asked) == 2


async def test_while_a_responder_is_silent_its_last_answer_counts_until_it_runs_out() -> None:
    responder = Responder(url="http://ocsp.test/")
    first = await responder.about(path_of())
    responder.fault = httpx2.ConnectError("no route")
    responder.now = NOW + timedelta(minutes=58)
    assert await responder.about(path_of()) == first
    responder.now = NOW + timedelta(minutes=59)
    assert isinstance(await responder.about(path_of()), OcspUnusable)


async def test_a_clock_that_is_set_back_keeps_no_answer_and_no_silence_alive() -> None:
    responder = Responder(url="http://ocsp.test/")
    responder.fault = httpx2.ConnectError("no route")
    assert isinstance(await responder.about(path_of()), OcspUnusable)
    responder.fault, responder.now = None, NOW - timedelta(hours=5)
    assert isinstance(await responder.about(path_of()), OcspAnswer)
    responder.now = NOW - timedelta(hours=10)
    await responder.about(path_of())
    assert len(responder.asked) == 3


async def test_a_question_that_is_refused_silences_the_responder_for_nobody_else() -> None:
    responder = Responder(url="http://ocsp.test/")
    responder.reply = httpx2.Response(400)
    refused = await responder.about(path_of(ROOT.leaf("CP-2")))
    assert refused == OcspUnusable("the responder answered with HTTP 400")
    responder.reply = None
    assert isinstance(await responder.about(path_of()), OcspAnswer)


async def test_a_packed_answer_is_not_unpacked() -> None:
    """A few kilobytes can become gigabytes."""
    responder = Responder(url="http://ocsp.test/")
    packed = gzip.compress(b"\0" * 10_000_000)
    responder.reply = httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=Streamed(packed))
    verdict = await responder.about(path_of())
    assert isinstance(verdict, OcspUnusable)
    assert "cannot be read" in verdict.reason
    assert responder.encodings == ["identity"]


async def test_an_address_in_a_certificate_that_is_no_address_is_nobody_to_ask() -> None:
    for address in ("http://[", "http://a:99999999/", "http://" + "a" * 300 + "/", "ftp://a/", "http:///"):
        responder = Responder(from_certificates=True)
        path = replace(path_of(), ocsp_url=address)
        assert isinstance(await responder.about(path), (OcspUnusable, OcspAnswer)), address


@pytest.mark.parametrize(
    ("reply", "fault", "reason"),
    [
        (httpx2.Response(503), None, "HTTP 503"),
        (httpx2.Response(302, headers={"Location": "http://169.254.169.254/"}), None, "HTTP 302"),
        (httpx2.Response(200, stream=Streamed(b"x" * 70_000)), None, "more than 65536 bytes"),
        (None, httpx2.ConnectError("no route"), "ConnectError"),
        (None, TimeoutError(), "did not answer within"),
    ],
)
async def test_a_responder_that_fails_is_left_alone_for_a_while(
    reply: httpx2.Response | None, fault: Exception | None, reason: str
) -> None:
    responder = Responder(url="http://ocsp.test/")
    responder.reply, responder.fault = reply, fault
    verdict = await responder.about(path_of())
    assert isinstance(verdict, OcspUnusable)
    assert reason in verdict.reason
    other = await responder.about(path_of(ROOT.leaf("CP-2")))
    assert other == OcspUnusable("the responder did not answer a moment ago")
    assert len(responder.asked) == 1, "nobody else waits for a dead responder"
    responder.reply = responder.fault = None
    responder.now = NOW + RETRY_AFTER
    assert isinstance(await responder.about(path_of()), OcspAnswer)


async def test_the_responder_of_a_certificate_is_asked_only_where_that_is_allowed() -> None:
    named = ROOT.leaf(
        "CP-1",
        extensions=[
            (
                x509.AuthorityInformationAccess(
                    [
                        x509.AccessDescription(
                            AuthorityInformationAccessOID.OCSP,
                            x509.UniformResourceIdentifier("http://own.test/"),
                        )
                    ]
                ),
                False,
            )
        ],
    )
    allowed, only_url = Responder(from_certificates=True), Responder(url="http://ours.test/")
    await allowed.about(path_of(named))
    await only_url.about(path_of(named))
    assert (allowed.asked, only_url.asked) == (["http://own.test/"], ["http://ours.test/"])
    assert isinstance(await allowed.about(path_of(ROOT.leaf("CP-2"))), OcspUnusable)
