"""Every error is a problem with a documented type, and none tells more than it should."""

import pytest

from api.errors import PROBLEMS, TABLE, problem_of
from csms.errors import CommandTimeout
from signing.errors import NotInRelease, StaleStage
from storage.access import Role
from storage.errors import AmpwaveError, Conflict, EngineUnavailable, InvalidInput, StaleVersion
from tests.support.house import House


async def test_every_problem_has_its_page() -> None:
    async with House().client() as client:
        for slug, problem in PROBLEMS.items():
            page = await client.get(problem.uri)
            assert page.status_code == 200, slug
            assert problem.title in page.text

        missing = await client.get("/problems/made-up")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotInRelease("not signed"), 422),
        (StaleStage("moved on"), 409),
        (CommandTimeout("cp", "Reset", 3), 503),
        (AmpwaveError("who knows"), 500),
    ],
)
def test_an_error_takes_the_problem_of_its_nearest_ancestor(error: AmpwaveError, status: int) -> None:
    assert problem_of(error).status == status


def test_every_storage_error_is_in_the_table() -> None:
    def leaves(kind: type[AmpwaveError]) -> set[type[AmpwaveError]]:
        return {kind}.union(*(leaves(child) for child in kind.__subclasses__()))

    ours = {kind for kind in leaves(AmpwaveError) if kind.__module__ in ("storage.errors", "api.errors")}
    bases = {"AmpwaveError", "DoorError"}
    assert {kind.__name__ for kind in ours if kind not in TABLE} == bases


async def failing(error: Exception, **headers: str) -> tuple[int, dict[str, object], dict[str, str]]:
    house = House()

    async def fail() -> None:
        raise error

    house.chargers.counts = fail  # type: ignore[assignment,method-assign]
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/fleet", headers=headers)
    return answer.status_code, answer.json(), dict(answer.headers)


async def test_all_problems_of_an_input_are_listed_with_the_next_step() -> None:
    status, body, _ = await failing(InvalidInput("Two things are wrong.", ["one", "two"], hint="Mend both."))

    assert status == 422
    assert body["problems"] == ["one", "two"]
    assert body["detail"] == "Two things are wrong. Mend both."
    assert body["type"] == "/problems/invalid-input"


async def test_an_engine_that_is_away_asks_to_come_back() -> None:
    status, body, headers = await failing(EngineUnavailable("PostgreSQL does not answer."))

    assert status == 503
    assert headers["retry-after"] == "2"
    assert body["type"] == "/problems/engine-unavailable"


@pytest.mark.parametrize(("headers", "expected"), [({"If-Match": '"1"'}, 412), ({}, 409)])
async def test_a_stale_write_is_412_where_a_version_was_given(headers: dict[str, str], expected: int) -> None:
    status, body, _ = await failing(StaleVersion("Somebody wrote."), **headers)

    assert (status, body["status"]) == (expected, expected)


async def test_a_conflict_is_409() -> None:
    assert (await failing(Conflict("It runs already.")))[0] == 409


@pytest.mark.parametrize(
    "error", [RuntimeError("postgresql://user:secret@host"), AmpwaveError("secret inside")]
)
async def test_a_fault_of_ours_tells_nothing_of_the_inside(error: Exception) -> None:
    status, body, headers = await failing(error)

    assert status == 500
    assert body["type"] == "/problems/internal"
    assert "secret" not in str(body)
    assert headers["x-request-id"]


async def test_what_the_framework_refuses_is_a_problem_too() -> None:
    async with House().client(Role.ADMIN) as client:
        missing = await client.get("/no/such/path")
        method = await client.delete("/api/v1/fleet")
        json = await client.post("/api/v1/sites", content="{", headers={"content-type": "application/json"})

    assert [answer.status_code for answer in (missing, method, json)] == [404, 405, 400]
    assert "GET" in method.headers["allow"]
    assert json.json()["type"] == "/problems/bad-request"
    for answer in (missing, method, json):
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_validation_problem_names_the_field_and_not_the_value() -> None:
    charger = {
        "charger_id": "CP 1",
        "site_id": "harbour",
        "vendor": "Volta",
        "model": "V22",
        "password": "hush",
    }
    async with House().client(Role.ADMIN) as client:
        answer = await client.post("/api/v1/chargers", json={**charger, "colour": "red"})

    problems = answer.json()["problems"]
    assert {problem.split(":")[0] for problem in problems} == {"charger_id", "password", "colour"}
    assert "hush" not in answer.text


async def test_every_answer_carries_the_headers_that_browsers_obey() -> None:
    async with House().client() as client:
        answer = await client.get("/login", headers={"X-Request-ID": "abc-1"})
        bad = await client.get("/livez", headers={"X-Request-ID": "a b\tc"})

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == "abc-1"
    assert bad.headers["x-request-id"] != "a b\tc"
