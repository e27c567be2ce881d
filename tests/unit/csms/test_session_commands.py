"""Commands through a session: in parts, with what their answers tell, and answers that others give."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from csms import schemas
from csms.access import GetLocalListVersion
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetLog,
    GetVariables,
    SetVariables,
    VariableAttribute,
    VariableValue,
)
from csms.errors import CallFailed, CommandTimeout
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.gateway import DIALECTS
from storage.certificate_use import CertificateUse
from storage.events import CommandAnswered, CommandSent, FrameRejected, VariablesReported
from storage.reports import CertificatesListed, CertificateStatusRequested, LocalListTold

HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "1",
}


async def sent(world: Any, command: Command, *answers: dict[str, Any]) -> tuple[CommandAnswer, list[Any]]:
    """Send a command; the charger gives these answers, one after the other."""
    sending = asyncio.create_task(world.session.send(command, 5))
    calls = []
    for answer in answers:
        calls.append(await world.socket.hear())
        world.socket.say(3, calls[-1][1], answer)
    return await sending, calls


def keys(*names: str) -> SetVariables:
    return SetVariables(tuple(VariableValue(name, "1") for name in names))


async def test_1_6_takes_one_call_per_key_and_one_answer_comes_of_it(make_world: Any) -> None:
    world = await make_world(OCPP16)
    words = ("Accepted", "NotSupported", "RebootRequired")
    answer, calls = await sent(world, keys("A", "B", "C"), *({"status": word} for word in words))
    assert [(call[2], call[3]["key"]) for call in calls] == [
        ("ChangeConfiguration", name) for name in ("A", "B", "C")
    ]
    assert answer.status is AnswerStatus.UNKNOWN_VARIABLE
    assert [(item.name, item.status.value) for item in answer.items] == [
        ("A", "Accepted"),
        ("B", "UnknownVariable"),
        ("C", "RebootRequired"),
    ]


async def test_a_part_that_fails_is_an_error_and_the_rest_is_not_sent(make_world: Any) -> None:
    world = await make_world(OCPP16)
    sending = asyncio.create_task(world.session.send(keys("A", "B"), 5))
    call = await world.socket.hear()
    world.socket.say(4, call[1], "InternalError", "", {})
    with pytest.raises(CallFailed):
        await sending
    assert [event.action for event in world.store.facts(CommandSent)] == ["ChangeConfiguration"]


TICKET = "https://a.test/d/" + "t" * 43


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    "answer",
    [
        (4, f"{TICKET} {'x' * 5000}", f"no {TICKET} {'x' * 5000}", {}),
        (3, {"status": f"no {TICKET} {'x' * 5000}"}),
    ],
    ids=["a refusal", "an unreadable status"],
)
async def test_what_a_charger_says_instead_of_an_answer_is_repeated_briefly_and_without_secrets(
    make_world: Any, answer: tuple[Any, ...]
) -> None:
    """An error ends up in logs and histories, whatever a charger makes it say."""
    world = await make_world(OCPP201)
    sending = asyncio.create_task(world.session.send(GetLog(1, TICKET), 5))
    call = await world.socket.hear()
    kind, *rest = answer
    world.socket.say(kind, call[1], *rest)
    with pytest.raises(CallFailed) as failed:
        await sending
    await world.session.settled()
    told = world.store.facts(CommandAnswered)[0]
    for text in (failed.value.message, failed.value.code, told.status, told.detail or ""):
        assert "ttt" not in text
        assert len(text) < 600
    assert failed.value.__cause__ is None


async def test_the_deadline_is_that_of_all_parts(make_world: Any) -> None:
    world = await make_world(OCPP16)
    with pytest.raises(CommandTimeout):
        await world.session.send(keys("A", "B"), 0.01)


async def test_1_6_lists_one_use_at_a_time_and_each_answer_is_a_fact(make_world: Any) -> None:
    world = await make_world(OCPP16)
    found = {"status": "Accepted", "certificateHashData": [HASH]}
    answer, calls = await sent(world, GetInstalledCertificateIds(), {"status": "NotFound"}, found)
    assert [call[3]["certificateType"] for call in calls] == [
        "CentralSystemRootCertificate",
        "ManufacturerRootCertificate",
    ]
    assert answer.status is AnswerStatus.ACCEPTED
    assert [each.use for each in answer.certificates] == [CertificateUse.MANUFACTURER_ROOT]
    await world.session.settled()
    listed = world.store.facts(CertificatesListed)
    assert [(fact.uses, len(fact.certificates)) for fact in listed] == [
        ((CertificateUse.CSMS_ROOT,), 0),
        ((CertificateUse.MANUFACTURER_ROOT,), 1),
    ]
    assert world.session.security_extension is True, "only a charger with the extension can answer that"


async def test_a_call_of_the_extension_that_is_not_known_proves_nothing(make_world: Any) -> None:
    world = await make_world(OCPP16)
    sending = asyncio.create_task(
        world.session.send(GetInstalledCertificateIds((CertificateUse.CSMS_ROOT,)), 5)
    )
    call = await world.socket.hear()
    world.socket.say(4, call[1], "NotImplemented", "", {})
    assert (await sending).status is AnswerStatus.NOT_IMPLEMENTED
    assert world.session.takes_signed_update


async def test_only_actual_values_are_facts(make_world: Any) -> None:
    world = await make_world(OCPP201)
    name = {"component": {"name": "A"}, "variable": {"name": "B"}}
    result = {"getVariableResult": [{**name, "attributeStatus": "Accepted", "attributeValue": "9"}]}
    answer, _ = await sent(world, GetVariables(("A.B",), VariableAttribute.MAX_SET), result)
    assert answer.values == (("A.B", "9"),)
    await sent(world, GetVariables(("A.B",)), result)
    await world.session.settled()
    assert world.store.facts(VariablesReported) == [VariablesReported({"A.B": "9"}, "answer")]


async def test_the_record_of_an_answer_tells_of_the_part_that_went_wrong(make_world: Any) -> None:
    world = await make_world(OCPP201)
    name = {"component": {"name": "A"}, "variable": {"name": "B"}}
    result = {"setVariableResult": [{**name, "attributeStatus": "Rejected"}]}
    await sent(world, SetVariables((VariableValue("A.B", "1"),)), result)
    await world.session.settled()
    assert world.store.facts(CommandAnswered)[0].status == "Rejected"


async def test_request_id_0_is_recorded(make_world: Any) -> None:
    world = await make_world(OCPP201)
    await sent(world, GetLog(0, "https://h/u/t"), {"status": "Accepted"})
    assert world.store.facts(CommandSent)[0].request_id == 0


OCSP = {"ocspRequestData": {**HASH, "responderURL": "http://ocsp.example/"}}


async def test_whoever_knows_answers_for_a_certificate(make_world: Any) -> None:
    world = await make_world(OCPP201)
    asked: list[CertificateStatusRequested] = []

    async def status(request: CertificateStatusRequested) -> tuple[str, str | None]:
        asked.append(request)
        return "Accepted", "b2s="

    inbound = world.session._inbound
    inbound._tools = replace(inbound._tools, certificate_status=status)
    answer = await world.socket.ask(2, "1", "GetCertificateStatus", OCSP)
    assert answer == [3, "1", {"status": "Accepted", "ocspResult": "b2s="}]
    assert world.store.facts(CertificateStatusRequested) == asked
    assert asked[0].responder_url == "http://ocsp.example/"


async def test_nobody_knows_by_default(make_world: Any) -> None:
    world = await make_world(OCPP21)
    answer = await world.socket.ask(2, "1", "GetCertificateStatus", OCSP)
    assert answer == [3, "1", {"status": "Failed"}]


@pytest.mark.requirement("F69")
@pytest.mark.parametrize("name", DIALECTS)
async def test_what_is_not_handled_is_refused_in_the_standards_words(make_world: Any, name: str) -> None:
    world = await make_world(name)
    everything = frozenset[str]().union(*map(schemas.actions, DIALECTS))
    for action in sorted(everything - set(DIALECTS[name].messages)):
        expected = "NotSupported" if action in schemas.actions(name) else "NotImplemented"
        answer = await world.socket.ask(2, action, action, {})
        assert answer[:3] == [4, action, expected]
    assert all(fact.action for fact in world.store.facts(FrameRejected))


async def test_a_message_of_the_wrong_kind_is_refused(make_world: Any) -> None:
    world = await make_world(OCPP21)
    world.socket.say(6, "1", "Heartbeat", {})
    answer = await world.socket.ask(2, "2", "NotifyPeriodicEventStream", {})
    assert answer[:3] == [4, "2", "MessageTypeNotSupported"]
    assert [fact.action for fact in world.store.facts(FrameRejected)] == [
        "Heartbeat",
        "NotifyPeriodicEventStream",
    ]


@pytest.mark.requirement("F64")
async def test_the_version_of_a_local_list_is_a_fact(make_world: Any) -> None:
    world = await make_world(OCPP16)
    answer, _ = await sent(world, GetLocalListVersion(), {"listVersion": -1})
    assert answer.list_version == -1
    await world.session.settled()
    assert world.store.facts(LocalListTold) == [LocalListTold(-1)]
