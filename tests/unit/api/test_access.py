"""Tokens are made once, shown once, and dead the moment they are revoked; the audit log pages in order."""

from datetime import timedelta

import pytest

from storage.access import Role
from storage.audit import first_break
from tests.support.house import NOW, House

TOKENS = "/api/v1/tokens"


async def test_a_new_token_works_and_its_text_is_shown_once() -> None:
    house = House()
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(TOKENS, json={"name": "ada", "role": "operator"})
        listed = await client.get(TOKENS)
    text = answer.json()["token"]
    async with house.client(text=text) as client:
        who = (await client.get("/api/v1/whoami")).json()

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert (who["name"], who["role"]) == ("ada", "operator")
    assert "campaign.pause" in who["permissions"]
    assert text not in listed.text + str(house.audit.chain)


async def test_a_revoked_token_is_dead_at_once() -> None:
    house = House()
    async with house.client(Role.ADMIN) as client:
        made = (await client.post(TOKENS, json={"name": "ada", "role": "operator"})).json()
        revoked = await client.delete(f"{TOKENS}/{made['token_id']}")
        again = await client.delete(f"{TOKENS}/{made['token_id']}")
    async with house.client(text=made["token"]) as client:
        answer = await client.get("/api/v1/fleet")

    assert (revoked.status_code, again.status_code, answer.status_code) == (204, 404, 401)
    assert "was revoked" in answer.json()["detail"]
    assert house.audit.actions[:2] == ["token.created", "token.revoked"]


async def test_a_repeated_key_makes_no_second_token() -> None:
    house = House()
    async with house.client(Role.ADMIN) as client:
        headers = {"Idempotency-Key": "once"}
        answers = [
            await client.post(TOKENS, json={"name": "ada", "role": "viewer"}, headers=headers)
            for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert sum(token.principal.name == "ada" for token in house.tokens.tokens) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"name": "ada", "role": "king"},
        {"name": "", "role": "viewer"},
        {"name": "ada", "role": "viewer", "expires_at": (NOW - timedelta(days=1)).isoformat()},
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(body: dict[str, str]) -> None:
    async with House().client(Role.ADMIN) as client:
        answer = await client.post(TOKENS, json=body)

    assert answer.status_code == 422


@pytest.mark.requirement("F49", "S65")
async def test_the_audit_log_comes_whole_and_in_an_order_that_verifies() -> None:
    house = House()
    async with house.client(Role.ADMIN) as client:
        for number in range(5):
            await client.post(TOKENS, json={"name": f"p{number}", "role": "viewer"})
    numbers: list[int] = []
    async with house.client(Role.SECURITY) as client:
        cursor: str | None = None
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/api/v1/audit", params=params)).json()
            numbers += [row["number"] for row in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        bad = await client.get("/api/v1/audit", params={"cursor": "-1"})

    assert numbers == [1, 2, 3, 4, 5]
    assert first_break(house.audit.chain) is None
    assert bad.status_code == 422


@pytest.mark.requirement("S66")
@pytest.mark.parametrize("name", ["Ada", "ada ", " ADA", "\uff41da"])
async def test_one_person_does_not_become_two_by_another_spelling(name: str) -> None:
    house = House()
    async with house.client(Role.ADMIN) as client:
        first = await client.post(TOKENS, json={"name": "ada", "role": "security"})
        again = await client.post(TOKENS, json={"name": "ada", "role": "operator"})
        other = await client.post(TOKENS, json={"name": name, "role": "security"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert "'ada'" in other.json()["detail"]
