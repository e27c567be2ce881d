"""Nobody gets past a door without its permission, and nobody without it makes us read a body."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi.routing import RouteContext, iter_route_contexts

from api.auth import PERMISSIONS, Permission
from api.guard import guard_of
from api.ports import ApiLimits
from storage.access import Principal, Role
from tests.support.house import NOW, House

# Everything that answers without a session or token, and why. A new route is not in here.
OPEN = {
    "/livez": "probed by machines",
    "/readyz": "probed by machines",
    "/metrics": "scraped inside the network",
    "/d/{ticket}": "the ticket is the leave",
    "/u/{ticket}": "the ticket is the leave",
    "/u/{ticket}/{filename:path}": "the ticket is the leave",
    "/tuf/metadata/{name}": "signed and public by nature",
    "/pki/chargers.crl": "signed and public by nature",
    "/pki/{issuer}.crl": "signed and public by nature",
    "/pki/ocsp": "signed and public by nature",
    "/pki/ocsp/{question:path}": "signed and public by nature",
    "/codec/decode": "checks token or session by itself; tested in test_codec_route",
    "/openapi.json": "the same for everybody",
    "/docs": "the same for everybody",
    "/problems": "the same for everybody",
    "/problems/{slug}": "the same for everybody",
    "/login": "where a session begins",
    "/logout": "ends only the caller's own session",
    "/static": "styles and scripts",
}


def routes(house: House) -> Iterator[RouteContext]:
    return iter_route_contexts(house.app.routes)


def filled(path: str) -> str:
    return re.sub(r"\{artifact_id\}", "0" * 64, re.sub(r"\{(?!artifact_id)[^}]+\}", "some-thing", path))


def guarded(house: House) -> list[tuple[str, str, Permission]]:
    return [
        (method, str(route.path), guard_of(route.endpoint).permission)
        for route in routes(house)
        if route.path not in OPEN and route.endpoint is not None
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})
    ]


@pytest.mark.requirement("R53")
def test_every_route_names_a_permission_or_is_listed_as_open() -> None:
    found = guarded(House())

    assert len(found) > 40
    # Asked for within a route, by what the body says: see the tests of campaigns, commands and logs.
    within = {
        Permission.CAMPAIGN_ROLLBACK,
        Permission.LOG_SECURITY,
    }
    assert {permission for _, _, permission in found} == set(Permission) - within


@pytest.mark.requirement("R53")
async def test_nothing_answers_without_a_token() -> None:
    house = House()
    async with house.client() as client:
        for method, path, _ in guarded(house):
            answer = await client.request(method, filled(path))
            if path.startswith("/api/"):
                assert answer.status_code == 401, path
                assert answer.json()["type"] == "/problems/unauthenticated"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            else:
                assert answer.headers["location"].startswith("/login"), path


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("role", list(Role))
async def test_each_role_is_refused_whatever_its_table_row_lacks(role: Role) -> None:
    house = House()
    lacking = [
        (method, path)
        for method, path, permission in guarded(house)
        if permission not in PERMISSIONS[role] and path.startswith("/api/")
    ]
    async with house.client(role) as client:
        for method, path in lacking:
            answer = await client.request(method, filled(path))
            assert answer.status_code == 403, (method, path)
            assert role.value in answer.json()["detail"]
    assert bool(lacking) is (role is not Role.ADMIN)


def test_the_table_says_what_the_manual_says() -> None:
    def roles(permission: Permission) -> set[Role]:
        return {role for role, held in PERMISSIONS.items() if permission in held}

    assert roles(Permission.READ) == set(Role) - {Role.INSTALLER}, "who only fits chargers sees nothing else"
    assert roles(Permission.CAMPAIGN_APPROVE) == {Role.RELEASE_MANAGER, Role.ADMIN}
    assert roles(Permission.ARTIFACT_SIGN) == {Role.SECURITY, Role.ADMIN}
    assert roles(Permission.ARTIFACT_UPLOAD) == {Role.RELEASE_MANAGER, Role.ADMIN}
    assert roles(Permission.TOKEN_ADMIN) == {Role.ADMIN}
    assert roles(Permission.FLEET_WRITE) == {Role.ADMIN}
    assert roles(Permission.TWIN_DESIRE) == {Role.SECURITY, Role.ADMIN}
    assert roles(Permission.TWIN_CONTROL) == {Role.SECURITY, Role.ADMIN}
    assert roles(Permission.CAMPAIGN_ROLLBACK) == {Role.RELEASE_MANAGER, Role.ADMIN}
    assert roles(Permission.CAMPAIGN_PAUSE) == set(Role) - {Role.VIEWER, Role.INSTALLER}
    assert roles(Permission.CHARGER_QUERY) == {Role.OPERATOR, Role.SECURITY, Role.ADMIN}
    assert roles(Permission.CHARGER_OPERATE) == {Role.OPERATOR, Role.ADMIN}
    assert roles(Permission.CHARGER_SECURE) == {Role.SECURITY, Role.ADMIN}
    assert roles(Permission.CHARGER_CONFIGURE) == {Role.ADMIN}
    assert roles(Permission.LOG_DIAGNOSTICS) == {Role.OPERATOR, Role.SECURITY, Role.ADMIN}
    assert roles(Permission.LOG_SECURITY) == {Role.SECURITY, Role.ADMIN}


def test_an_endpoint_without_a_permission_does_not_start() -> None:
    def endpoint() -> None: ...

    with pytest.raises(RuntimeError, match="names no permission"):
        guard_of(endpoint)


async def test_a_refusal_of_a_known_caller_is_on_record_once_a_minute() -> None:
    house = House()
    async with house.client(Role.VIEWER) as client:
        for _ in range(3):
            await client.post("/api/v1/tokens", json={})

    assert house.audit.actions == ["access.forbidden"]
    entry = house.audit.chain[0].entry
    assert entry.actor == "viewer@ampwave.test"
    assert entry.subject == "/api/v1/tokens"


async def test_an_expired_token_is_told_so_and_recorded() -> None:
    house = House()
    text = house.token(Principal("ada", Role.ADMIN), expires_at=NOW)
    async with house.client(text=text) as client:
        answer = await client.get("/api/v1/fleet")

    assert answer.status_code == 401
    assert "has expired" in answer.json()["detail"]
    assert house.audit.actions == ["access.token_refused"]
    assert text not in str(house.audit.chain)


async def test_a_body_is_not_read_before_the_caller_is_let_in() -> None:
    house = House()
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1024

    async with house.client(Role.VIEWER) as client:
        answer = await client.post("/api/v1/artifacts", content=body())

    assert answer.status_code == 403
    assert read <= 1


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_its_limit_is_refused_with_a_problem(declared: bool) -> None:
    house = House(limits=ApiLimits(body_bytes=1000))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 500

    content = b" " * 1500 if declared else body()
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(
            "/api/v1/sites", content=content, headers={"content-type": "application/json"}
        )

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "1000 bytes" in answer.json()["detail"]
