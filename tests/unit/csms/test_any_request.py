"""Whatever a schema allows can be read, kept and answered: requests generated from the schemas themselves."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms.dialect import Answering, Reading, nothing
from csms.gateway import DIALECTS
from csms.registration import Registration
from csms.schemas import check_answer, check_request
from csms.timestamps import parse_instant
from storage.codec import decode_event, to_json
from storage.events import KIND_OF
from tests.support.schema_values import requests

READING = Reading(parse_instant, lambda _: "hash", transaction_id=5)
ANSWERING = Answering(datetime(2026, 11, 20, tzinfo=UTC), 60, 5, Registration.PENDING)
# Those that only get a fixed answer are told nothing by their content, and have the largest schemas.
ACTIONS = [
    (name, action)
    for name, dialect in DIALECTS.items()
    for action, message in dialect.messages.items()
    if message.read is not nothing
]


@pytest.mark.requirement("F71")
@pytest.mark.parametrize(("name", "action"), ACTIONS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_request_that_is_valid_is_read_kept_and_answered(
    name: str, action: str, data: st.DataObject
) -> None:
    dialect, payload = DIALECTS[name], data.draw(requests(name, action))
    assert check_request(name, action, payload) is None
    for seen in dialect.to_events(action, payload, READING):
        body = to_json(seen.event)
        assert decode_event(KIND_OF[type(seen.event)], body) == seen.event
    assert check_answer(name, action, dialect.answer(action, payload, ANSWERING)) is None
