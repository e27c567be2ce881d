"""Webhooks at the door: who may, where they may lie, and a secret that is seen once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.webhook_signature import signature, signed_headers, webhook_secret
from api.webhook_url import WebhookRules
from storage.access import Role
from storage.errors import InvalidInput
from storage.incident import IncidentChange, IncidentKind
from tests.support.house import NOW, House

pytestmark = [pytest.mark.requirement("X15"), pytest.mark.requirement("F99")]
URL = "/api/v1/webhooks"
HOOK = {"webhook_id": "ops", "url": "https://ops.example.com/hook?x=1"}


async def call(house: House, role: Role, method: str, path: str = "", **options: Any) -> Any:
    async with house.client(role) as client:
        return await client.request(method, URL + path, **options)


async def test_the_secret_is_shown_once_and_stored_nowhere() -> None:
    house = House()
    made = await call(house, Role.SECURITY, "POST", json={**HOOK, "kinds": ["halt.pulled", "halt.pulled"]})
    assert made.status_code == 201, made.text
    assert made.json()["kinds"] == ["halt.pulled"]
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    for path in ("", "/ops", "/ops/deliveries"):
        assert secret not in (await call(house, Role.ADMIN, "GET", path)).text
    assert house.audit.actions == ["webhook.added"]
    assert secret not in repr(house.audit.chain) + repr(house.notices.rows)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.RELEASE_MANAGER])
async def test_others_may_look_and_not_touch(role: Role) -> None:
    house = House()
    await call(house, Role.SECURITY, "POST", json=HOOK)
    assert (await call(house, role, "GET", "/ops")).status_code == 200
    assert (await call(house, role, "POST", json={**HOOK, "webhook_id": "mine"})).status_code == 403
    for method, path in [("DELETE", ""), *(("POST", f"/{verb}") for verb in ("test", "rotate", "pause"))]:
        assert (await call(house, role, method, f"/ops{path}")).status_code == 403, path
    assert list(house.notices.rows) == ["ops"]


async def test_a_name_that_is_taken_or_unknown_is_said_so() -> None:
    house = House()
    await call(house, Role.SECURITY, "POST", json=HOOK)
    assert (await call(house, Role.SECURITY, "POST", json=HOOK)).status_code == 409
    for verb in ("test", "pause", "resume", "rotate", "retry"):
        assert (await call(house, Role.SECURITY, "POST", f"/none/{verb}")).status_code == 404, verb
    assert (await call(house, Role.SECURITY, "DELETE", "/none")).status_code == 404
    unknown = await call(house, Role.SECURITY, "POST", json={**HOOK, "webhook_id": "b", "kinds": ["x"]})
    assert unknown.status_code == 422
    assert "campaign.phase_changed" in unknown.text


async def test_it_is_tested_paused_resumed_and_removed_with_what_waits() -> None:
    house = House()
    await call(house, Role.SECURITY, "POST", json={**HOOK, "kinds": ["halt.pulled"]})
    assert (await call(house, Role.SECURITY, "POST", "/ops/test")).json() == {"count": 1}
    [sent] = (await call(house, Role.VIEWER, "GET", "/ops/deliveries")).json()["items"]
    assert (sent["kind"], sent["state"]) == ("webhook.tested", "waiting")
    paused = (await call(house, Role.SECURITY, "POST", "/ops/pause")).json()
    assert paused["paused_by"] == "security@ampwave.test"
    assert (await call(house, Role.SECURITY, "POST", "/ops/resume")).json()["paused_by"] is None
    assert (await call(house, Role.SECURITY, "DELETE", "/ops")).json() == {"count": 1}
    actions = ["webhook.added", "webhook.paused", "webhook.resumed", "webhook.removed"]
    assert house.audit.actions == actions


async def test_after_a_rotation_both_secrets_sign_for_a_day() -> None:
    house = House()
    old = (await call(house, Role.SECURITY, "POST", json=HOOK)).json()["secret"]
    new = (await call(house, Role.SECURITY, "POST", "/ops/rotate")).json()["secret"]
    assert old != new
    hook = house.notices.rows["ops"]
    for hours, secrets in ((23, [new, old]), (25, [new])):
        at = NOW + timedelta(hours=hours)
        headers = signed_headers(b"p" * 32, hook, "notice-1", at, b"{}")
        wanted = " ".join(signature(secret, "notice-1", at, b"{}") for secret in secrets)
        assert headers["webhook-signature"] == wanted


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example that its authors publish."""
    at = datetime.fromtimestamp(1614265330, UTC)
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        at,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_every_webhook_number_and_deployment_has_a_secret_of_its_own() -> None:
    pepper = b"p" * 32
    made = [(pepper, "a", 1), (pepper, "a", 11), (pepper, "a1", 1), (pepper, "a", 2), (b"q" * 32, "a", 1)]
    assert len({webhook_secret(*each) for each in made}) == len(made)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://ops.example.com/", "begins with http://"),
        ("ftp://ops.example.com/", "begins with ftp://"),
        ("ops.example.com", "begins with nothing://"),
        ("https://", "names no host"),
        ("https://ada:pw@ops.example.com/", "user name"),
        ("https://ops.example.com/#x", "#fragment"),
        ("https://ops.example.com/ x", "spaces"),
        ("https://ops.example.com/\n", "spaces"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://[::1]/", "not a public address"),
        ("https://[::ffff:10.0.0.1]/", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://ops.example.com:99999/", "cannot be read"),
        ("https://ops.example.com/" + "a" * 1000, "longer than"),
    ],
)
async def test_an_address_that_is_refused_says_why(url: str, why: str) -> None:
    house = House()
    answer = await call(house, Role.SECURITY, "POST", json={**HOOK, "url": url})
    assert answer.status_code == 422
    assert any(why in problem for problem in answer.json()["problems"]), answer.text
    assert house.notices.rows == {}


def test_an_operator_opens_their_own_network_and_nothing_else() -> None:
    rules = WebhookRules.of(["10.2.0.0/16"], plain_http=True)
    assert rules.parse("http://10.2.3.4:8080/x?y").authority == "10.2.3.4:8080"
    for url in ("https://10.3.0.1/", "https://[::ffff:10.3.0.1]/"):
        with pytest.raises(InvalidInput):
            rules.parse(url)
    with pytest.raises(InvalidInput, match="AMPWAVE_WEBHOOK_NETWORKS"):
        WebhookRules.of(["10.2.0.1/16"], plain_http=False)


async def test_who_removes_one_that_fails_leaves_no_incident_behind() -> None:
    """Nothing is sent there any more, so no success would ever close it."""
    house = House()
    await call(house, Role.SECURITY, "POST", json=HOOK)
    for name in ("ops", "other"):
        failing = IncidentChange(IncidentKind.WEBHOOK_FAILING, f"webhook/{name}", NOW, "It takes nothing.")
        await house.watch.incidents.apply([failing])
    assert (await call(house, Role.SECURITY, "DELETE", "/ops")).status_code == 200
    assert [one.subject for one in await house.watch.incidents.find()] == ["webhook/other"]
