"""Which waves hear of a charger that counted and is not what it was."""

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.facts import RouteFacts
from activities.late_settings import LateEnd, LateKind
from storage.campaign import REHEARSAL_WAVE, ROLLBACK_WAVE_BASE
from storage.kept import Owed
from workflows import late_settings
from workflows.late_settings import LateInput, LateSettingsWorkflow

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.mark.requirement("X9")
@pytest.mark.parametrize(
    ("wave", "hears"),
    [(0, True), (REHEARSAL_WAVE, True), (ROLLBACK_WAVE_BASE, False), (ROLLBACK_WAVE_BASE + 1, False)],
)
async def test_a_way_back_is_not_stopped_for_settings(
    monkeypatch: pytest.MonkeyPatch, wave: int, *, hears: bool
) -> None:
    """Whoever runs the former version again is back; stopped, the others would keep the bad one."""
    owed = Owed("c1", wave, "CP1", "1.0", sent=True, since=NOW)
    end = LateEnd(owed, LateKind.SPOILT, "it is otherwise")
    told: list[LateEnd] = []

    async def compares(*_: Any) -> LateEnd:
        return end

    async def tells(found: LateEnd) -> None:
        told.append(found)

    monkeypatch.setattr(late_settings, "on_node", compares)
    monkeypatch.setattr(late_settings, "remotely", compares)
    monkeypatch.setattr(LateSettingsWorkflow, "_tell_wave", staticmethod(tells))
    given = LateInput(owed, RouteFacts("node-1", "boot-1", 1), 900.0)
    assert await LateSettingsWorkflow().run(given) is LateKind.SPOILT
    assert bool(told) is hears
