"""The pages of chargers' lives: who sees and does what, and nothing of a stranger's is run."""

from datetime import timedelta
from pathlib import Path

import pytest

from storage.access import Role
from storage.canonical import sha256_hex
from storage.certificate import Expiry
from storage.renewal import RenewalPhase
from storage.retirement import receipt_key
from storage.twin import Lifecycle
from tests.support.house import NOW, House
from tests.support.lives import EVIL, OURS, RECEIPT, lives
from tests.support.passports import facts, signed_passport
from tests.support.showcase import showcase
from tests.unit.api.test_dashboard import browser, hidden

PAGES = (
    "/life",
    "/life?by=month",
    "/life?ended=true",
    "/life/renewals",
    "/life/renewals/r-0",
    "/life/provisioning",
    "/life/quarantine",
    "/life/retired",
)


@pytest.mark.requirement("F34", "F47", "F50")
async def test_every_page_is_there_for_who_may_read_and_runs_nothing_of_a_strangers() -> None:
    house = await lives(showcase())
    async with browser(house, Role.VIEWER) as client:
        for path in PAGES:
            shown = await client.get(path)
            assert shown.status_code == 200, path
            assert EVIL not in shown.text, path
            assert "<form" not in shown.text.replace('action="/logout"', "").split("<main")[1], path
        for path in ("/life?since=yesterday", "/life?cursor=x", "/life/renewals/no-such", "/life?by=year"):
            assert (await client.get(path)).status_code in (404, 422), path
    async with browser(house) as client:
        assert (await client.get("/life/retired")).status_code == 303


async def test_with_nobody_in_it_every_page_says_what_to_do() -> None:
    house = House()
    async with browser(house, Role.ADMIN) as client:
        for path, words in (
            ("/life", "No charger&#39;s certificate ends"),
            ("/life/renewals", "ampwave cert renew-fleet"),
            ("/life/provisioning", "ampwave provisioning import"),
            ("/life/quarantine", "Nobody is set aside"),
            ("/life/retired", "ampwave charger decommission"),
        ):
            text = (await client.get(path)).text
            assert words in text.replace("charger's", "charger&#39;s"), path


async def test_ten_thousand_come_in_pages_and_nobody_is_on_two_of_them() -> None:
    house = await lives(showcase(), 10_000)
    async with browser(house, Role.ADMIN) as client:
        for path, mark in (("/life/provisioning", 'id="q-'), ("/life?by=month", 'id="x-')):
            first = (await client.get(path)).text
            following = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
            second = (await client.get(path.split("?")[0] + following)).text
            seen = [*_ids(first, mark), *_ids(second, mark)]
            assert len(seen) == len(set(seen)) == 200, path
        months = (await client.get("/life?by=month")).text
    assert "Late." in months
    assert "10000 chargers" in months


def _ids(page: str, mark: str) -> list[str]:
    return [part.split('"')[0] for part in page.split(mark)[1:]]


async def test_each_kind_of_work_is_spoken_of_in_its_own_words() -> None:
    house = await lives(showcase())
    async with browser(house, Role.SECURITY) as client:
        jobs = (await client.get("/life/renewals")).text
        profile = (await client.get("/life/renewals/r-2")).text
        certificates = (await client.get("/life/renewals/r-0")).text
    for title in ("New certificates", "Root change: install the new root", "Security profile upgrade"):
        assert title in jobs
    assert "1 upgraded" in profile
    assert "renewed" not in profile.split("<main")[1]
    assert "Chargers keep the profiles that they have." in profile
    assert "New serial number" not in profile
    assert "1 renewed" in certificates
    assert "New serial number" in certificates


@pytest.mark.requirement("F63")
async def test_a_chargers_page_shows_its_terms() -> None:
    house = await lives(showcase())
    async with browser(house, Role.VIEWER) as client:
        kept = (await client.get("/chargers/CP-0001")).text.split('id="terms"')[1].split("</section>")[0]
        none = (await client.get("/chargers/CP-0002")).text.split('id="terms"')[1].split("</section>")[0]
    assert "<dt>Access policy</dt><dd>members/v12</dd>" in kept
    assert "tariff/night &lt;script&gt;" in kept
    assert "ampwave charger describe CP-0002 --pricing REF" in none


async def test_a_refused_request_is_shown_with_every_reason_and_what_to_do() -> None:
    house = await lives(showcase())
    async with browser(house, Role.VIEWER) as client:
        shown = (await client.get("/life")).text
    card = shown.split("Requests that were refused")[1].split("</section>")[0]
    assert "its key is RSA 1024" in card
    assert "Set its serial number at the charger" in card
    assert "CP-0002" in card


async def test_a_renewal_is_steered_by_who_may_with_a_reason_once() -> None:
    house = await lives(showcase())
    async with browser(house, Role.OPERATOR) as client:
        shown = (await client.get("/life/renewals/r-0")).text
        assert "takes one of: security, admin" in shown
        form = {"proof": hidden(shown, "proof"), "reason": "looked"}
        assert (await client.post("/life/renewals/r-0/resume", data=form)).status_code == 403
    async with browser(house, Role.SECURITY) as client:
        shown = (await client.get("/life/renewals/r-0")).text
        form = {"proof": hidden(shown, "proof"), "reason": "the three were unplugged"}
        for act, data, status in (
            ("resume", {"reason": "no proof"}, 403),
            ("resume", {**form, "reason": ""}, 422),
            ("explode", form, 404),
            ("resume", form, 303),
        ):
            answer = await client.post(f"/life/renewals/r-0/{act}", data=data)
            assert answer.status_code == status, (act, data)
        assert (await client.post("/life/renewals/r-9/resume", data=form)).status_code == 404
    assert house.renewals.rows["r-0"].phase is RenewalPhase.RUNNING


async def test_the_queue_says_what_moves_a_charger_on_and_lets_who_may_do_it() -> None:
    house = await lives(showcase(), 3)
    async with browser(house, Role.OPERATOR) as client:
        shown = (await client.get("/life/provisioning")).text
        assert "takes one of: installer, admin" in shown
        assert "ampwave provisioning claim NEW-00000" in shown
        proof = hidden(shown, "proof")
        assert (
            await client.post("/life/provisioning/NEW-00002/visit", data={"proof": proof})
        ).status_code == 303
    assert ("visit_charger", "NEW-00002") in house.orchestrator.asked
    async with browser(house, Role.ADMIN) as client:
        shown = (await client.get("/life/provisioning")).text
        assert "Attest rcd-test" in shown
        form = {"proof": hidden(shown, "proof"), "name": "rcd-test", "value": "21 ms", "result": "passed"}
        url = "/life/provisioning/NEW-00001/attest"
        for data, status in (
            ({**form, "result": "maybe"}, 422),
            ({**form, "value": "x" * 201}, 422),
            ({**form, "name": "<b>"}, 422),
            ({**form, "proof": "x"}, 403),
            (form, 303),
        ):
            assert (await client.post(url, data=data)).status_code == status, data
    [given] = house.services.enrolments.rows["NEW-00001"].attestations  # type: ignore[union-attr, attr-defined]
    assert (given.name, given.passed, given.value) == ("rcd-test", True, "21 ms")


@pytest.mark.requirement("F34")
async def test_only_who_may_takes_a_charger_back_and_only_one_without_a_doubt_is_offered() -> None:
    house = await lives(showcase())
    async with browser(house, Role.SECURITY) as client:
        shown = (await client.get("/life/quarantine")).text
        assert "no campaign sent it" in shown
        assert ("CP-0003/release" in shown, "CP-0004/release" in shown) == (False, True)
        form = {"proof": hidden(shown, "proof"), "reason": "it was us"}
        assert (await client.post("/life/quarantine/CP-0004/release", data=form)).status_code == 303
        assert "CP-0004" not in (await client.get("/life/quarantine")).text
    async with browser(house, Role.OPERATOR) as client:
        assert (await client.post("/life/quarantine/CP-0003/release", data=form)).status_code == 403
    assert house.chargers.all["CP-0003"].charger.lifecycle is Lifecycle.QUARANTINED


async def test_receipts_and_passports_are_saved_as_they_were_signed(tmp_path: Path) -> None:
    house = await lives(showcase())
    house.add_charger("CP-1")
    document = await signed_passport(tmp_path, facts())
    sha256 = sha256_hex(document)
    await house.blobs.put_bytes(receipt_key(sha256), document)
    house.orchestrator.passports = lambda order: sha256
    async with browser(house, Role.SECURITY) as client:
        saved = await client.get("/life/retired/CP-0006/receipt.json")
        early = await client.get("/life/retired/CP-0005/receipt.json")
        shown = (await client.get("/chargers/CP-1")).text
        form = {"proof": hidden(shown, "proof"), "key": "k"}
        asked = await client.post("/chargers/CP-1/passport", data=form)
        passport = await client.get(asked.headers["location"])
        other = await client.get(f"/chargers/CP-0001/passport/{sha256}.json")
    assert (saved.content, early.status_code) == (RECEIPT, 404)
    assert saved.headers["content-disposition"] == 'attachment; filename="CP-0006.receipt.json"'
    assert (asked.status_code, passport.content, other.status_code) == (303, document, 404)
    async with browser(house, Role.OPERATOR) as client:
        assert "Have it signed" not in (await client.get("/chargers/CP-1")).text
        assert (await client.post("/chargers/CP-1/passport", data=form)).status_code == 403


async def test_one_certificate_is_renewed_now_by_who_may() -> None:
    house = showcase()
    house.certificates.ends = [Expiry("CP-0000", "s", "0A", NOW + timedelta(days=3), True, OURS)]
    async with browser(house, Role.SECURITY) as client:
        shown = (await client.get("/life")).text
        form = {"proof": hidden(shown, "proof")}
        assert (await client.post("/life/certificates/CP-0000/renew", data=form)).status_code == 303
        assert (await client.post("/life/certificates/CP-0000/renew", data={})).status_code == 403
    assert "due: with the next renewal" in shown
    assert any(each[0] == "CP-0000" for each in house.orchestrator.asked)
