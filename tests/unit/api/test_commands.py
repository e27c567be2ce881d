"""The door for people's commands: who may, what never passes, and what each end looks like outside."""

from typing import Any, get_args

import httpx2
import pytest

from activities.guards import GUARDS
from api.commands import BY_NAME, FIRMWARE, TABLE, AnyBody
from api.schemas.command_base import CommandBody
from csms.commands import GetVariables, Reset, ResetKind
from storage.access import Role
from storage.codec import to_json
from storage.command import CommandEnd, CommandState
from storage.errors import EngineUnavailable
from tests.support.house import House

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
EXAMPLES: dict[str, dict[str, Any]] = {
    "trigger": {"message": "Heartbeat"},
    "get-variables": {"names": ["A.B"]},
    "get-base-report": {},
    "get-report": {"names": ["A"]},
    "get-monitoring-report": {},
    "get-local-list-version": {},
    "get-installed-certificates": {},
    "reset": {},
    "change-availability": {"operative": False},
    "install-certificate": {"use": "CSMSRootCertificate", "certificate": PEM},
    "delete-certificate": {"issuer_name_hash": "ab", "issuer_key_hash": "cd", "serial_number": "01"},
    "certificate-signed": {"chain": PEM},
    "set-network-profile": {"slot": 2, "csms_url": "wss://csms.example/ocpp", "security_profile": 2},
    "set-variables": {"values": {"HeartbeatInterval": "60"}},
    "rotate-password": {},
    "clear-cache": {},
    "send-local-list": {"version": 3},
    "set-monitoring": {"name": "A.B", "kind": "UpperThreshold", "value": 1.5, "severity": 3},
    "clear-monitoring": {"monitor_ids": [1]},
    "set-monitoring-base": {"base": "All"},
    "set-monitoring-level": {"severity": 4},
    "get-log": {"location": "https://logs.example/up"},
    "data-transfer": {"vendor_id": "acme", "data": "hush"},
    "customer-information": {"token": "hush"},
    "unpublish-firmware": {"checksum": "ab" * 16},
}
ROLES = {
    Role.VIEWER: set(),
    Role.INSTALLER: set(),
    Role.RELEASE_MANAGER: set(),
    Role.OPERATOR: {
        *("trigger", "get-variables", "get-base-report", "get-report", "get-monitoring-report"),
        *("get-local-list-version", "get-installed-certificates", "reset", "change-availability"),
    },
    Role.SECURITY: {
        *("trigger", "get-variables", "get-base-report", "get-report", "get-monitoring-report"),
        *("get-local-list-version", "get-installed-certificates", "install-certificate"),
        *("delete-certificate", "certificate-signed", "set-network-profile", "rotate-password"),
    },
    Role.ADMIN: set(EXAMPLES),
}


def house() -> House:
    made = House()
    made.add_site()
    made.add_charger("CP-1")
    return made


async def post(
    made: House,
    body: dict[str, Any],
    *,
    role: Role = Role.ADMIN,
    key: str | None = None,
    charger: str = "CP-1",
) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    async with made.client(role) as client:
        return await client.post(f"/api/v1/chargers/{charger}/commands", json=body, headers=headers)


def test_the_table_the_union_and_the_guards_know_the_same_commands() -> None:
    assert set(BY_NAME) == set(EXAMPLES)
    union, _ = get_args(AnyBody)
    assert set(get_args(union)) == {door.shape for door in TABLE}
    made = {type(_body(name).to_command(1)) for name in EXAMPLES}
    assert made == set(GUARDS), "each command has a guard, and each guard a door"
    assert all(door.summary for door in TABLE)


def _body(name: str) -> CommandBody:
    return BY_NAME[name].shape.model_validate({"command": name, **EXAMPLES[name]})


@pytest.mark.requirement("R53")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", EXAMPLES)
async def test_each_role_sends_what_its_row_says_and_nothing_else(name: str, role: Role) -> None:
    made = house()
    answer = await post(made, {"command": name, **EXAMPLES[name]}, role=role)
    allowed = name in ROLES[role]
    assert answer.status_code == (200 if allowed else 403), answer.text
    assert len(made.orchestrator.asked) == allowed
    if not allowed:
        assert made.audit.actions in (["access.forbidden"], ["charger.command_refused"])


@pytest.mark.parametrize("message", ["SignChargingStationCertificate", "SignCombinedCertificate"])
async def test_only_security_asks_for_a_signing_request(message: str) -> None:
    made = house()
    body = {"command": "trigger", "message": message}
    assert (await post(made, body, role=Role.OPERATOR)).status_code == 403
    assert (await post(made, body, role=Role.SECURITY)).status_code == 200


@pytest.mark.parametrize("name", sorted(FIRMWARE))
async def test_firmware_is_sent_to_campaigns(name: str) -> None:
    made = house()
    answer = await post(made, {"command": name, "location": "https://x/fw"})
    assert answer.status_code == 422
    assert "through campaigns only" in answer.text
    assert made.orchestrator.asked == []


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    "body",
    [
        {"command": "set-variables", "values": {"AuthorizationKey": "x"}},
        {"command": "set-variables", "values": {"SecurityCtrlr.BasicAuthPassword": "x"}},
        {"command": "set-variables", "values": {"WifiPassphrase": "x"}},
        {"command": "set-variables", "values": {"VendorCtrlr.SimPin": "1"}},
        {"command": "set-variables", "values": {"SecurityProfile": "0"}},
        {"command": "set-variables", "values": {"SecurityCtrlr.SecurityProfile": "0"}},
        {"command": "install-certificate", "use": "CSMSRootCertificate", "certificate": PEM + "PRIVATE KEY"},
        {"command": "install-certificate", "use": "CSMSRootCertificate", "certificate": "hello"},
        {"command": "get-log", "location": "ftp://user:secret@host/dir"},
        {"command": "get-log", "location": "https://host/dir?token=secret"},
        {"command": "set-network-profile", "slot": 1, "csms_url": "wss://a:b@x/", "security_profile": 1},
        {"command": "set-network-profile", "slot": 1, "csms_url": "wss://x/", "security_profile": 0},
        {"command": "customer-information"},
        {"command": "customer-information", "token": "a", "identifier": "b"},
        {"command": "reset", "kind": "Sudden"},
        {"command": "reset", "deadline_seconds": 600},
        {"command": "nonsense"},
        {"command": {}},
        {},
    ],
    ids=str,
)
async def test_secrets_and_nonsense_do_not_pass(body: dict[str, Any]) -> None:
    made = house()
    answer = await post(made, body)
    assert answer.status_code == 422, answer.text
    assert made.orchestrator.asked == []
    assert made.commands.rows == {}


async def test_an_answer_is_the_chargers_and_is_on_record() -> None:
    made = house()
    made.orchestrator.charger_says = CommandEnd(
        CommandState.ANSWERED, "it answered Rejected", "Rejected", {"values": [["A.B", "1"]]}
    )
    answer = await post(made, {"command": "get-variables", "names": ["A.B"]}, role=Role.OPERATOR)
    assert answer.status_code == 200
    body = answer.json()
    assert body["answer"] == {"status": "Rejected", "returned": {"values": [["A.B", "1"]]}}
    assert (body["state"], body["actor"]) == ("answered", "operator@ampwave.test")
    [(_, given)] = made.orchestrator.asked
    assert (given.kind, given.body) == ("GetVariables", to_json(GetVariables(("A.B",))))
    async with made.client(Role.VIEWER) as client:
        assert (await client.get(answer.headers["location"])).json() == body
        listed = (await client.get("/api/v1/chargers/CP-1/commands")).json()["items"]
        other = await client.get(answer.headers["location"].replace("CP-1", "CP-2"))
    assert listed == [body]
    assert other.status_code == 404


async def test_a_command_that_still_runs_is_202_and_found_at_its_place() -> None:
    made = house()
    made.orchestrator.charger_says = None
    answer = await post(made, {"command": "reset"})
    assert answer.status_code == 202
    assert answer.json()["state"] == "requested"
    assert answer.json()["reason"] == "it is on its way"
    made.now = made.now.replace(hour=23)
    async with made.client(Role.VIEWER) as client:
        later = (await client.get(answer.headers["location"])).json()
    assert "same Idempotency-Key" in later["reason"]


@pytest.mark.parametrize(
    ("state", "slug", "next_step"),
    [
        (CommandState.OFFLINE, "charger-offline", "once the charger is back"),
        (CommandState.BUSY, "charger-busy", "No session is ever cut"),
        (CommandState.HELD, "charger-held", "when that work is over"),
        (CommandState.REFUSED, "command-refused", "Change the command"),
        (CommandState.FAILED, "charger-failed", "explanation"),
        (CommandState.SILENT, "charger-silent", "timeline"),
        (CommandState.UNSUPPORTED, "charger-incapable", "lacks it"),
    ],
)
async def test_every_other_end_is_a_problem_that_says_what_next(
    state: CommandState, slug: str, next_step: str
) -> None:
    made = house()
    made.orchestrator.charger_says = CommandEnd(state, "the reason")
    answer = await post(made, {"command": "reset"})
    assert answer.status_code == 409
    assert answer.json()["type"] == f"/problems/{slug}"
    assert "the reason" in answer.json()["detail"]
    assert next_step in answer.json()["detail"]
    async with made.client(Role.VIEWER) as client:
        assert (await client.get(answer.headers["location"])).json()["state"] == state.value
        assert (await client.get(f"/problems/{slug}")).status_code == 200


async def test_a_repeat_under_the_same_key_is_the_same_command() -> None:
    made = house()
    made.orchestrator.charger_says = None
    body = {"command": "get-base-report"}
    first = await post(made, body, key="k1")
    made.orchestrator.charger_says = CommandEnd(CommandState.ANSWERED, "it answered Accepted", "Accepted")
    second = await post(made, body, key="k1")
    third = await post(made, body, key="k1")
    ids = {answer.json()["command_id"] for answer in (first, second, third)}
    assert len(ids) == 1
    assert len(made.orchestrator.asked) == 2, "an end that is known is not asked for again"
    other = await post(made, {"command": "reset"}, key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    elsewhere = await post(made, body, key="k1", role=Role.OPERATOR)
    assert elsewhere.json()["command_id"] not in ids, "a key is one person's"


async def test_what_cannot_be_started_is_said_so_and_taken_up_by_a_repeat() -> None:
    made = house()
    made.orchestrator.failure = EngineUnavailable("Temporal did not answer.")
    assert (await post(made, {"command": "reset"}, key="k1")).status_code == 503
    made.orchestrator.failure = None
    assert (await post(made, {"command": "reset"}, key="k1")).status_code == 200


async def test_nobody_is_sent_what_does_not_exist() -> None:
    made = house()
    answer = await post(made, {"command": "reset"}, charger="CP-9")
    assert answer.status_code == 404
    assert made.orchestrator.asked == []


@pytest.mark.requirement("F23")
@pytest.mark.parametrize("name", ["data-transfer", "customer-information", "install-certificate"])
async def test_secrets_and_long_texts_are_not_on_record(name: str) -> None:
    made = house()
    answer = await post(made, {"command": name, **EXAMPLES[name]})
    kept = str(made.commands.rows) + answer.text
    assert "hush" not in kept
    assert "BEGIN CERTIFICATE" not in kept


def test_defaults_are_the_gentle_ones() -> None:
    assert _body("reset").to_command(1) == Reset(ResetKind.ON_IDLE)
