"""References to what other systems say of a charger."""

from typing import Any

import pytest

URL = "/chargers/CP-1/desired/terms"


@pytest.mark.requirement("F63")
def test_a_reference_is_kept_against_the_version_that_was_read(run: Any, fake: Any) -> None:
    fake.on("GET", URL, (200, {"version": 4}))
    fake.on("PATCH", URL, (200, {"charger_id": "CP-1", "desired": {"pricing_policy": "tariff/42"}}))
    result = run("charger", "describe", "CP-1", "--pricing", "tariff/42", "--access", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout == "CP-1: pricing policy tariff/42.\n"
    request = fake.last("PATCH", URL)
    assert request.json == {"pricing_policy": "tariff/42", "access_policy": None}
    assert request.headers["If-Match"] == '"4"'


def test_who_says_nothing_is_told_what_there_is(run: Any) -> None:
    result = run("charger", "describe", "CP-1")
    assert result.exit_code == 2
    assert "--pricing" in result.output
