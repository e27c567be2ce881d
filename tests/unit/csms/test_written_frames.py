"""Every message we speak, as frames written from the standards' field rules, through the dialects."""

import json
import re
from datetime import UTC, datetime

import pytest

from csms import frames
from csms.commands import AnswerStatus, CommandAnswer
from csms.dialect import Answering, Dialect, Reading
from csms.gateway import DIALECTS
from csms.schemas import check_answer, check_request
from csms.timestamps import parse_instant
from storage.codec import to_json
from storage.events import KIND_OF
from tests.support.written_frames import SAID, SENT, Exchange

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
READING = Reading(parse_instant, lambda token: f"hash of {len(token)} characters", transaction_id=5)
ANSWERING = Answering(AT, 60, transaction_id=5)
NO_ANSWER = to_json(CommandAnswer(AnswerStatus.ACCEPTED))


@pytest.mark.requirement("F69", "F70", "F71")
@pytest.mark.parametrize("said", SAID, ids=lambda each: each.id)
def test_what_a_charger_says_is_read_and_answered(said: Exchange) -> None:
    dialect = said.dialect
    assert check_request(dialect.name, said.action, said.request) is None
    observed = dialect.to_events(said.action, said.request, READING)
    told = [
        {
            "kind": KIND_OF[type(seen.event)].value,
            "body": {name: value for name, value in to_json(seen.event).items() if value is not None},
            **({"at": to_json(seen.at)} if seen.at else {}),
            **({"key": seen.dedupe_key} if seen.dedupe_key else {}),
        }
        for seen in observed
    ]
    assert told == said.meaning["events"]
    if said.answer is not None:
        answer = dialect.answer(said.action, said.request, ANSWERING)
        assert answer == said.answer
        assert check_answer(dialect.name, said.action, answer) is None


@pytest.mark.requirement("F41", "F69", "F70")
@pytest.mark.parametrize("sent", SENT, ids=lambda each: each.id)
def test_our_command_is_exactly_that_request_and_its_answer_is_understood(sent: Exchange) -> None:
    dialect, command = sent.dialect, sent.command
    assert dialect.parts(command) == (command,)
    assert dialect.to_call(command, sent.calling) == (sent.action, sent.request)
    assert check_request(dialect.name, sent.action, sent.request) is None
    assert sent.action in dialect.calls[type(command)].actions
    assert sent.answer is not None
    assert check_answer(dialect.name, sent.action, sent.answer) is None
    answer = dialect.from_answer(command, sent.action, sent.answer)
    assert to_json(answer) == {**NO_ANSWER, **sent.meaning["answer"]}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_message_that_is_handled_has_a_frame(dialect: Dialect) -> None:
    """After a new line in MESSAGES or CALLS: write its frame, see tests/frames/README.md."""
    said = {each.action for each in SAID if each.dialect is dialect}
    sent = {(type(each.command), each.action) for each in SENT if each.dialect is dialect}
    assert said == set(dialect.messages)
    assert sent == {(kind, action) for kind, call in dialect.calls.items() for action in call.actions}


TIMES = re.compile(r'"\d{4}-\d\d-\d\dT[^"]*"')


@pytest.mark.parametrize("sent", SENT, ids=lambda each: each.id)
def test_frames_are_compact_and_times_end_in_z(sent: Exchange) -> None:
    action, payload = sent.dialect.to_call(sent.command, sent.calling)
    text = frames.call("m1", action, payload)
    assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    assert all(time.endswith('Z"') for time in TIMES.findall(text))


@pytest.mark.requirement("S43")
@pytest.mark.parametrize("sent", SENT, ids=lambda each: each.id)
def test_no_command_shows_its_secrets(sent: Exchange) -> None:
    secrets = ("ticket", "secret", "vpn key", "B4A63CDF", "customer 7", "a new password", "1234")
    assert not any(secret in repr(sent.command) for secret in secrets)
