"""What a charger's answer to a set of values means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from storage.command import CommandEnd, CommandState
from storage.configuration import LineState, judge_line
from storage.desired import AckStatus

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SENT = {"configuration.values.A": "1", "configuration.values.B.C": "2"}


def answered(*statuses: str, whole: str = "Accepted") -> CommandEnd:
    items = [
        {"name": name, "status": status, "detail": ""}
        for name, status in zip(("A", "B.C"), statuses, strict=False)
    ]
    returned: dict[str, Any] = {"items": items} if items else {}
    return CommandEnd(CommandState.ANSWERED, "it answered", whole, returned)


@pytest.mark.requirement("F13", "F25")
@pytest.mark.parametrize(
    ("end", "state", "acks"),
    [
        (answered("Accepted", "Accepted"), LineState.ACCEPTED, ["accepted", "accepted"]),
        (answered("Accepted", "RebootRequired"), LineState.RESTART, ["accepted", "in_progress"]),
        (answered("Rejected", "Accepted"), LineState.REFUSED, ["refused", "accepted"]),
        (answered("Accepted", "UnknownVariable"), LineState.UNSUPPORTED, ["accepted", "unsupported"]),
        (answered("Accepted"), LineState.ACCEPTED, ["accepted", "accepted"]),
        (answered(whole="Rejected"), LineState.REFUSED, ["refused", "refused"]),
        (answered(whole="Bewildered"), LineState.REFUSED, ["refused", "refused"]),
        (CommandEnd(CommandState.UNSUPPORTED, "no"), LineState.UNSUPPORTED, ["unsupported"] * 2),
        (CommandEnd(CommandState.FAILED, "InternalError"), LineState.REFUSED, ["refused"] * 2),
        (CommandEnd(CommandState.OFFLINE, "away"), LineState.WAITING, []),
        (CommandEnd(CommandState.SILENT, "no answer"), LineState.WAITING, []),
        (CommandEnd(CommandState.HELD, "an update"), LineState.WAITING, []),
    ],
)
def test_answers_become_acknowledgements(end: CommandEnd, state: LineState, acks: list[str]) -> None:
    verdict = judge_line(SENT, end, 7, NOW)
    assert verdict.state is state
    assert [ack.status.value for ack in verdict.acks.values()] == acks
    assert all(ack.version == 7 for ack in verdict.acks.values())


def test_the_reason_names_what_stood_in_the_way() -> None:
    verdict = judge_line(SENT, answered("Rejected", "UnknownComponent"), 7, NOW)
    assert (verdict.state, verdict.reason) == (LineState.REFUSED, "A Rejected")
    assert verdict.acks["configuration.values.B.C"].status is AckStatus.UNSUPPORTED
