"""The converter of payloads: as the SDK's, without its cost for each workflow."""

from datetime import UTC, datetime

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.facts import RouteFacts
from storage.campaign import Outcome
from workflows.messages import ChargerUpdateInput, Mark, UpdateEnd
from workflows.payloads import DATA_CONVERTER, SharedConverter
from workflows.signals import ChargerSignal, hinted

VALUES = [
    None,
    b"bytes",
    {"a": [1, 2.5, "x"]},
    ChargerUpdateInput("c1", 1, 2, "A", "2.0", RouteFacts("node", "boot", 3)),
    ChargerSignal(7, "charger_booted", {"firmware_version": "2.0"}, datetime(2026, 1, 2, tzinfo=UTC)),
    UpdateEnd(Outcome.FAILED, "why", (Mark.RETRY, Mark.FETCH)),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
async def test_it_writes_and_reads_what_the_sdk_would(value):
    [ours], [theirs] = await DATA_CONVERTER.encode([value]), await pydantic_data_converter.encode([value])
    assert ours == theirs
    assert await DATA_CONVERTER.decode([theirs], [type(value)]) == [value]


def test_all_workflows_have_the_same_validators():
    first, second = SharedConverter(), SharedConverter()
    assert first.converters[b"json/plain"] is second.converters[b"json/plain"]


def test_a_hint_says_what_happened_and_not_who_the_charger_is():
    told = {
        "firmware_version": "2.0",
        "reason": "PowerUp",
        "vendor": "V",
        "model": "M",
        "serial_number": "SN",
    }
    assert hinted(told) == {"firmware_version": "2.0", "reason": "PowerUp"}
