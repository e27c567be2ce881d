"""Certificates at the door: who may, what is said, and what is passed on."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn, IssueAnswer
from csms.pki.roots import root_hashes
from storage.access import Role
from storage.certificate import (
    Certificate,
    CertificatePhase,
    Expiry,
    RequestState,
    RevocationList,
    SigningRequest,
)
from storage.certificate_advice import REFUSED
from storage.renewal import RenewalOutcome, RenewalPhase
from storage.twin import SecuritySection
from tests.support.house import NOW, House
from tests.support.pki import Authority

CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMII\n-----END CERTIFICATE REQUEST-----\n"
DAY = timedelta(days=1)
WHERE = "/api/v1"


@pytest.fixture
def house() -> House:
    made = House()
    made.add_site()
    for charger_id in ("CP-1", "CP-2", "CP-3"):
        made.add_charger(charger_id)
    for serial, ends, phase in (("AA", 10, CertificatePhase.PROVEN), ("BB", 200, CertificatePhase.ISSUED)):
        made.certificates.rows.append(
            Certificate(
                charger_id="CP-1",
                serial=serial,
                issuer="i" * 64,
                key_sha256="k" * 64,
                chain="PEM",
                not_before=NOW,
                not_after=NOW + ends * DAY,
                issued_at=NOW,
                issued_by="ada",
                phase=phase,
            )
        )
    made.certificates.ends = [Expiry("CP-1", "harbour", "AA", NOW + 10 * DAY, online=True)]
    return made


async def post(house: House, path: str, body: Any, role: Role = Role.SECURITY) -> httpx2.Response:
    async with house.client(role) as client:
        return await client.post(f"{WHERE}{path}", json=body)


async def get(house: House, path: str, **params: Any) -> Any:
    async with house.client(Role.VIEWER) as client:
        answer = await client.get(f"{WHERE}{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_certificates_and_their_ends_are_listed(house: House) -> None:
    assert [one["serial"] for one in (await get(house, "/certificates"))["items"]] == ["AA", "BB"]
    soon = await get(house, "/certificates", expires_within_days=30)
    assert [one["serial"] for one in soon["items"]] == ["AA"]
    ends = await get(house, "/certificates/expiries", within_days=60)
    assert [(one["charger_id"], one["online"]) for one in ends["items"]] == [("CP-1", True)]
    assert "chain" not in soon["items"][0]


async def test_a_request_is_issued_or_every_reason_is_told(house: House) -> None:
    refused = await post(house, "/certificates", {"charger_id": "CP-1", "csr": CSR})
    assert refused.status_code in (400, 422), refused.text
    assert refused.json()["problems"] == ["its key is RSA 1024"]
    assert "P-256" in refused.json()["detail"]
    house.orchestrator.answer = IssueAnswer("BB")
    made = await post(house, "/certificates", {"charger_id": "CP-1", "csr": CSR})
    assert (made.status_code, made.json()["chain"]) == (201, "PEM")
    assert house.orchestrator.asked[-1] == HandedIn("CP-1", CSR, "security@ampwave.test")
    assert (await post(house, "/certificates", {"charger_id": "CP-9", "csr": CSR})).status_code == 404


async def test_a_charger_that_is_away_cannot_be_asked(house: House) -> None:
    house.add_charger("CP-4", online=False)
    answer = await post(house, "/certificates/renew", {"charger_id": "CP-4"})
    assert (answer.status_code, house.orchestrator.asked) == (409, [])


@pytest.mark.requirement("S60")
async def test_only_a_root_is_given_to_chargers_and_who_lacks_it_is_told(house: House) -> None:
    made = Authority.root("Server root", NOW)
    root, leaf = (
        each.public_bytes(Encoding.PEM).decode()
        for each in (made.certificate, made.leaf("localhost").certificate)
    )
    wrong = await post(house, "/roots/installations", {"name": "x", "charger_ids": ["CP-1"], "root": leaf})
    assert "it is no root" in wrong.text
    given = await post(house, "/roots/installations", {"name": "x", "charger_ids": ["CP-1"], "root": root})
    assert (given.status_code, given.json()["work"]) == (202, "install_root")
    same = {"name": "x", "charger_ids": ["CP-1"], "old_root": root, "new_root": root}
    gone = await post(house, "/roots/deletions", {**same, "switched_at": "2026-11-19T00:00:00Z"})
    assert "are the same" in gone.text
    named = root_hashes(root)[0]
    listed = f"CSMSRootCertificate/{named.issuer_key_hash.upper()}/00{named.serial_number.upper()}"
    for charger_id, roots in (("CP-1", (listed,)), ("CP-2", ())):
        view = house.chargers.all[charger_id]
        security = SecuritySection(profile=3, roots=roots, roots_at=NOW)
        house.chargers.all[charger_id] = replace(view, twin=replace(view.twin, security=security))
    ready = (await post(house, "/roots/readiness", {"root": root})).json()
    assert ready == {"trusting": 1, "missing": 1, "missing_chargers": ["CP-2"]}


async def test_a_charger_is_renewed_and_its_certificates_revoked(house: House) -> None:
    assert (await post(house, "/certificates/renew", {"charger_id": "CP-1"})).status_code == 202
    assert house.audit.actions == ["certificate.renewal_started"]
    gone = await post(house, "/certificates/revocations", {"charger_id": "CP-1", "serials": ["AA"]})
    assert gone.json() == {"charger_id": "CP-1", "serials": ["AA"]}
    order = RevokeOrder("CP-1", ("AA",), "unspecified", "security@ampwave.test")
    assert house.orchestrator.asked[-1] == order
    bad = {"charger_id": "CP-1", "serials": ["../x"], "reason": "because"}
    assert len((await post(house, "/certificates/revocations", bad)).json()["problems"]) == 2


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.RELEASE_MANAGER])
async def test_only_security_may(house: House, role: Role) -> None:
    for path, body in (
        ("/certificates", {"charger_id": "CP-1", "csr": CSR}),
        ("/certificates/renew", {"charger_id": "CP-1"}),
        ("/certificates/revocations", {"charger_id": "CP-1"}),
        ("/renewals", {"name": "all", "charger_ids": ["CP-1"]}),
        ("/renewals/r1/abort", {"reason": "no"}),
    ):
        assert (await post(house, path, body, role)).status_code == 403
    assert house.orchestrator.asked == []


@pytest.mark.requirement("F40")
async def test_a_fleet_is_renewed_once_per_key_and_steered(house: House) -> None:
    body = {"name": "autumn", "charger_ids": ["CP-1", "CP-2", "CP-3", "CP-1"], "canary": 1, "growth": 2}
    async with house.client(Role.SECURITY) as client:
        made = [
            await client.post(f"{WHERE}/renewals", json=body, headers={"Idempotency-Key": "k1"})
            for _ in range(2)
        ]
    first = made[0].json()
    assert [answer.status_code for answer in made] == [202, 202]
    assert first == made[1].json()
    assert (first["chargers"], first["waves"], first["counts"]) == (3, 2, {"open": 3})
    renewal_id = first["renewal_id"]
    lines = await get(house, f"/renewals/{renewal_id}/chargers", after=0)
    assert [(one["charger_id"], one["wave"]) for one in lines["items"]] == [("CP-2", 1), ("CP-3", 1)]
    for act, phase in (("pause", RenewalPhase.PAUSED), ("resume", RenewalPhase.RUNNING)):
        answer = await post(house, f"/renewals/{renewal_id}/{act}", {"reason": "look"})
        assert answer.json()["phase"] == phase.value
    assert house.audit.actions == ["renewal.created"]
    assert len((await get(house, "/renewals"))["items"]) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name exactly one of"),
        ({"charger_ids": ["CP-1"], "expires_within_days": 5}, "name exactly one of"),
        ({"charger_ids": ["CP-1", "CP-9"]}, "CP-9: unknown"),
        ({"expires_within_days": 5}, "No charger matches"),
        ({"charger_ids": ["CP-1"], "canary": 0}, "canary"),
    ],
)
async def test_who_is_meant_has_to_be_said(house: House, body: dict[str, Any], said: str) -> None:
    answer = await post(house, "/renewals", {"name": "x", **body})
    assert answer.status_code in (400, 422)
    assert said in answer.text


async def test_a_request_says_what_became_of_it_why_and_what_to_do(house: House) -> None:
    why = ("its common name is 'X', and the charger that asks is CP-1", "its key is RSA 1024")
    house.certificates.requests = [
        SigningRequest(9, "CP-1", CSR, None, None, NOW - DAY, RequestState.REFUSED, why, NOW),
        SigningRequest(8, "CP-2", CSR, None, None, NOW - DAY),
        SigningRequest(7, "CP-3", CSR, None, None, NOW - 40 * DAY, RequestState.ISSUED),
    ]
    refused, waiting = (await get(house, "/certificates/requests"))["items"]
    assert (refused["state"], refused["reasons"], refused["charger_id"]) == ("refused", list(why), "CP-1")
    assert "Set its serial number at the charger" in refused["next_step"]
    assert (waiting["state"], waiting["reasons"], waiting["next_step"]) == ("open", [], "")
    assert "csr" not in refused
    only = await get(house, "/certificates/requests", state="open,issued", within_days=60)
    assert [one["charger_id"] for one in only["items"]] == ["CP-2", "CP-3"]
    async with house.client(Role.VIEWER) as client:
        for wrong in ({"state": "lost"}, {"state": "open,"}, {"within_days": 0}, {"charger_id": "a b"}):
            answer = await client.get(f"{WHERE}/certificates/requests", params=wrong)
            assert answer.status_code == 422, wrong


async def test_a_renewal_says_what_to_do_about_a_refused_request(house: House) -> None:
    made = await post(house, "/renewals", {"name": "x", "charger_ids": ["CP-1", "CP-2"]})
    renewal_id = made.json()["renewal_id"]
    first, second = house.renewals.lines[renewal_id]
    house.renewals.lines[renewal_id] = [
        replace(first, outcome=RenewalOutcome.REFUSED, reason=f"{REFUSED}its key is RSA 1024"),
        replace(second, reason="it is charging"),
    ]
    shown = (await get(house, f"/renewals/{renewal_id}/chargers"))["items"]
    assert ["P-256" in one["next_step"] for one in shown] == [True, False]
    assert shown[1]["next_step"] == ""


async def test_each_issuers_list_has_an_address_of_its_own(house: House) -> None:
    issuer = "ab" * 32
    house.certificates.list = RevocationList(issuer, 5, b"DER", NOW, NOW + 7 * DAY, former=True)
    (one,) = (await get(house, "/certificates/lists"))["items"]
    assert (one["path"], one["former"], one["number"]) == (f"/pki/{issuer}.crl", True, 5)
    async with house.client() as client:
        assert (await client.get(one["path"])).content == b"DER"
        for missing in ("cd" * 32, "AB" * 32, "ab", "../ab"):
            assert (await client.get(f"/pki/{missing}.crl")).status_code in (404, 422), missing


async def test_nothing_signed_yet_is_said_so(house: House) -> None:
    async with house.client() as client:
        assert (await client.get("/pki/chargers.crl")).status_code == 404
        rubbish = await client.get("/pki/ocsp/!!!")
    assert rubbish.headers["content-type"] == "application/ocsp-response"
