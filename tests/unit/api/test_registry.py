"""The doors to who is who: names, identities, what is accepted, notes, incidents closed by hand."""

from datetime import timedelta
from typing import Any

import pytest

from storage.access import Role
from storage.incident import Incident, IncidentKind
from tests.support.house import NOW, House

NAME = {"namespace": "erp", "value": "4711", "subject": "charger/CP-1"}
IDENTITY = "/api/v1/chargers/CP-1/identity"
NOTES = "/api/v1/chargers/CP-1/notes"


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    return house


@pytest.mark.requirement("F20")
async def test_a_name_is_given_found_and_taken_away_on_record(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        first = await client.put("/api/v1/identifiers", json=NAME)
        house.now += timedelta(seconds=1)
        again = await client.put("/api/v1/identifiers", json=NAME)
        other = await client.put("/api/v1/identifiers", json={**NAME, "subject": "charger/CP-2"})
        found = await client.get("/api/v1/identifiers", params={"namespace": "erp", "value": "4711"})
        listed = await client.get("/api/v1/chargers/CP-1/identifiers")
        gone = await client.delete("/api/v1/identifiers", params={"namespace": "erp", "value": "4711"})
        never = await client.get("/api/v1/identifiers", params={"namespace": "erp", "value": "4711"})
    assert [each.status_code for each in (first, again, other, found, gone, never)] == [
        200,
        200,
        409,
        200,
        200,
        404,
    ]
    assert first.json() == again.json() == found.json() == listed.json()["items"][0]
    assert house.audit.actions == ["identifier.added", "identifier.removed"]


@pytest.mark.requirement("F20")
@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "serial"},
        {"namespace": "ocpp"},
        {"namespace": "Ünï"},
        {"value": ""},
        {"value": " 4711"},
        {"value": "a\x00b"},
        {"value": "x" * 201},
        {"subject": "CP-1"},
        {"subject": "charger/../x"},
        {"subject": "evse/CP-1/-1"},
    ],
)
async def test_what_is_no_name_is_refused(house: House, change: dict[str, Any]) -> None:
    async with house.client(Role.ADMIN) as client:
        answer = await client.put("/api/v1/identifiers", json={**NAME, **change})
    assert answer.status_code == 422
    assert house.registry.rows == {}


@pytest.mark.requirement("F2")
async def test_an_identity_changes_against_its_version_with_a_reason_only(house: House) -> None:
    body = {"serial_number": "SN-2", "reason": "the controller was replaced"}
    async with house.client(Role.SECURITY) as client:
        version = (await client.get("/api/v1/chargers/CP-1")).json()["identity_version"]
        blind = await client.patch(IDENTITY, json=body)
        stale = await client.patch(IDENTITY, json=body, headers={"If-Match": '"9"'})
        bare = await client.patch(IDENTITY, json={"serial_number": "S"}, headers={"If-Match": '"1"'})
        empty = await client.patch(IDENTITY, json={"reason": "why not"}, headers={"If-Match": '"1"'})
        nobody = await client.patch(IDENTITY, json={**body, "vendor": None}, headers={"If-Match": '"1"'})
        done = await client.patch(IDENTITY, json=body, headers={"If-Match": f'"{version}"'})
    codes = [each.status_code for each in (blind, stale, bare, empty, nobody, done)]
    assert codes == [428, 412, 422, 422, 422, 200]
    assert (done.json()["serial_number"], done.headers["etag"]) == ("SN-2", '"2"')


@pytest.mark.requirement("F2")
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.RELEASE_MANAGER])
async def test_who_a_charger_is_is_not_for_everybody(house: House, role: Role) -> None:
    async with house.client(role) as client:
        answers = [
            await client.patch(
                IDENTITY, json={"serial_number": "S", "reason": "x"}, headers={"If-Match": '"1"'}
            ),
            await client.put("/api/v1/identifiers", json=NAME),
            await client.post(
                "/api/v1/chargers/CP-1/accept", json={"paths": ["security.roots"], "reason": "x"}
            ),
        ]
    assert [each.status_code for each in answers] == [403, 403, 403]


async def test_a_doubt_is_accepted_with_a_reason(house: House) -> None:
    house.registry.doubted = frozenset({"security.tampered"})
    url, body = "/api/v1/chargers/CP-1/accept", {"paths": ["security.tampered"], "reason": "our own visit"}
    async with house.client(Role.SECURITY) as client:
        good = await client.post(url, json=body)
        not_in_doubt = await client.post(url, json={**body, "paths": ["security.roots"]})
        wrong = await client.post(url, json={**body, "paths": ["identity.vendor"]})
    assert (good.status_code, good.json()["accepted"]) == (200, ["security.tampered"])
    assert (not_in_doubt.status_code, wrong.status_code) == (409, 422)
    assert house.registry.accepted[0].reason == "our own visit"


@pytest.mark.requirement("F24")
async def test_notes_of_people_and_webhooks_are_on_the_timeline_once(house: House) -> None:
    body = {"text": "screen dark, fuse replaced", "note": "ticket", "reference": "T-17"}
    key = {"Idempotency-Key": "hook-1"}
    async with house.client(Role.OPERATOR) as client:
        first = await client.post(NOTES, json=body, headers=key)
        again = await client.post(NOTES, json=body, headers=key)
        past = await client.post(NOTES, json={**body, "happened_at": "2026-01-01T08:00:00Z"})
        ahead = await client.post(NOTES, json={**body, "happened_at": "2099-01-01T08:00:00Z"})
        hostile = await client.post(NOTES, json={**body, "text": "a\x00b"})
        missing = await client.post("/api/v1/chargers/CP-9/notes", json=body)
    assert [each.status_code for each in (first, again, past, ahead, hostile, missing)] == [
        201,
        200,
        201,
        422,
        422,
        404,
    ]
    ticket, visit = house.ingest.events
    assert (ticket.event.reference, ticket.event.author) == ("T-17", "operator@ampwave.test")
    assert visit.observed_at < visit.received_at
    async with house.client(Role.VIEWER) as client:
        assert (await client.post(NOTES, json=body)).status_code == 403


def incident(number: int, kind: IncidentKind) -> Incident:
    return Incident(number, kind, "charger/CP-1", "something", NOW)


async def test_an_incident_is_closed_by_hand_once_with_a_reason(house: House) -> None:
    house.watch.incidents.rows = [
        incident(1, IncidentKind.SESSION_STUCK),
        incident(2, IncidentKind.SUSPECTED_INTRUSION),
    ]
    reason = {"reason": "looked at it on site"}
    async with house.client(Role.OPERATOR) as client:
        done = await client.post("/api/v1/incidents/1/close", json=reason)
        twice = await client.post("/api/v1/incidents/1/close", json=reason)
        grave = await client.post("/api/v1/incidents/2/close", json=reason)
        bare = await client.post("/api/v1/incidents/2/close", json={})
        missing = await client.post("/api/v1/incidents/9/close", json=reason)
        left = (await client.get("/api/v1/incidents")).json()["items"]
    assert [each.status_code for each in (done, twice, grave, bare, missing)] == [200, 409, 403, 422, 404]
    assert (done.json()["closed_by"], done.json()["close_reason"]) == (
        "operator@ampwave.test",
        reason["reason"],
    )
    assert [each["incident_id"] for each in left] == [2]
    async with house.client(Role.SECURITY) as client:
        assert (await client.post("/api/v1/incidents/2/close", json=reason)).status_code == 200


@pytest.mark.requirement("F23")
async def test_a_person_is_erased_by_a_hash_and_the_token_goes_nowhere(house: House) -> None:
    body = {"id_token": "04AABBCC", "reason": "asked by letter"}
    async with house.client(Role.SECURITY) as client:
        assert (await client.post("/api/v1/erasures", json=body)).status_code == 403
    async with house.client(Role.ADMIN) as client:
        answer = await client.post("/api/v1/erasures", json=body)
        wrong = await client.post("/api/v1/erasures", json={"id_token": "", "reason": "x"})
    assert answer.json() == {"sessions": 2, "events": 1}
    assert wrong.status_code == 422
    (erasure,) = house.privacy.erased
    assert erasure.id_token_hash == b"hmac:8".hex()
    assert "04AABBCC" not in str(erasure)
