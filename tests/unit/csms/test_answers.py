import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from csms import schemas
from csms.answers import joined, of_items
from csms.commands import AnswerStatus, CommandAnswer, ItemAnswer
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from tests.support.written_frames import SENT, Exchange

PLACES = ("status", "attributeStatus")


@cache
def words(dialect: str, action: str) -> tuple[str, ...]:
    """The statuses that the schema of an answer allows."""
    path = schemas._folder(dialect) / f"{action}Response.json"
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return tuple(_words(schema, schema.get("definitions", {})))


def _words(node: Any, definitions: dict[str, Any]) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _words(each, definitions)
    elif isinstance(node, dict):
        for name, each in node.items():
            if name in PLACES and isinstance(each, dict):
                found = definitions.get(each.get("$ref", "").rpartition("/")[2], each)
                yield from found.get("enum", ())
            yield from _words(each, definitions)


def with_status(value: Any, word: str) -> Any:
    """An answer with this status, in all of its parts."""
    if isinstance(value, list):
        return [with_status(each, word) for each in value]
    if isinstance(value, dict):
        return {name: word if name in PLACES else with_status(each, word) for name, each in value.items()}
    return value


@pytest.mark.requirement("F70")
@pytest.mark.parametrize(
    "sent", [each for each in SENT if words(each.dialect.name, each.action)], ids=lambda each: each.id
)
def test_every_status_of_an_answer_has_a_meaning_and_no_other_has(sent: Exchange) -> None:
    for word in words(sent.dialect.name, sent.action):
        answer = sent.dialect.from_answer(sent.command, sent.action, with_status(sent.answer, word))
        assert isinstance(answer.status, AnswerStatus)
    with pytest.raises(ValueError, match="Perhaps"):
        sent.dialect.from_answer(sent.command, sent.action, with_status(sent.answer, "Perhaps"))


def item(name: str, status: AnswerStatus) -> ItemAnswer:
    return ItemAnswer(name, status)


def test_parts_are_as_good_as_the_first_that_is_not() -> None:
    good, reboot = item("a", AnswerStatus.ACCEPTED), item("b", AnswerStatus.REBOOT_REQUIRED)
    bad, worse = item("c", AnswerStatus.UNKNOWN_VARIABLE), item("d", AnswerStatus.REJECTED)
    assert of_items([good, good]).status is AnswerStatus.ACCEPTED
    assert of_items([good, reboot]).status is AnswerStatus.REBOOT_REQUIRED
    answer = of_items([good, reboot, bad, worse])
    assert (answer.status, answer.detail) == (AnswerStatus.UNKNOWN_VARIABLE, "c UnknownVariable, d Rejected")
    assert len(answer.items) == 4


def test_answers_to_the_parts_of_a_command_are_one() -> None:
    name = CertificateHash(HashAlgorithm.SHA256, "a", "b", "1")
    found = CommandAnswer(
        AnswerStatus.ACCEPTED, certificates=(InstalledCertificate(CertificateUse.CSMS_ROOT, name),)
    )
    none = CommandAnswer(AnswerStatus.NOT_FOUND)
    assert joined([found]) is found
    assert joined([none, found]) == found
    assert joined([none, none]).status is AnswerStatus.NOT_FOUND
    unable = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)
    assert joined([found, unable]).status is AnswerStatus.NOT_IMPLEMENTED
