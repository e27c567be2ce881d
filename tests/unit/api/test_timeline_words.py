"""The timeline for people: beats folded, readings in words."""

from hypothesis import given
from hypothesis import strategies as st

from api.timeline_words import folded, readings

BEAT = "heartbeat_received"


def test_heartbeats_are_one_line_at_the_place_of_the_newest() -> None:
    kinds = ["charger_booted", BEAT, BEAT, "reset", BEAT]
    assert folded(kinds, str, 9) == [("charger_booted", 1), (BEAT, 3), ("reset", 1)]
    assert folded(kinds, str, 2) == [("charger_booted", 1), (BEAT, 2)], "read until the limit, and no further"


@given(st.lists(st.sampled_from([BEAT, "a", "b"]), max_size=40), st.integers(1, 50))
def test_no_other_entry_is_lost_moved_or_counted_twice(kinds: list[str], limit: int) -> None:
    shown = folded(kinds, str, limit)
    assert len(shown) <= limit
    others = [kind for kind, _ in shown if kind != BEAT]
    assert others == [kind for kind in kinds if kind != BEAT][: len(others)]
    assert all(count == 1 for kind, count in shown if kind != BEAT)
    beats = [count for kind, count in shown if kind == BEAT]
    if len(shown) < limit:
        assert len(others) == len(kinds) - kinds.count(BEAT)
        assert beats == ([kinds.count(BEAT)] if BEAT in kinds else [])


def test_readings_are_words_with_units() -> None:
    samples = [
        {"measurand": "Energy.Active.Import.Register", "value": 771596.0, "unit": None, "phase": None},
        {"measurand": "Power.Active.Import", "value": 7.2, "unit": "kW", "phase": None},
        {"measurand": "Voltage", "value": 229.0, "unit": "V", "phase": "L1-N"},
        {"measurand": "SoC", "value": 41.0, "unit": "Percent", "phase": None},
        {"measurand": "Voltage", "value": 230.0, "unit": "V", "phase": "L2-N"},
    ]
    body = {"evse_id": 1, "transaction_id": "7", "samples": samples}
    assert readings(body) == (
        "EVSE 1: meter 771596 Wh, power 7.2 kW, voltage L1-N 229 V, state of charge 41 Percent, 1 more; "
        "session 7"
    )
    assert readings({"evse_id": 0, "samples": samples[:1]}) == "main meter: meter 771596 Wh"
