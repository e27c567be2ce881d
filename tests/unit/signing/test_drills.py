"""The drills hold over a store in memory; and what they would notice is noticed."""

from pathlib import Path

import pytest

from signing.drills import DRILLS, Scene, play
from tests.unit.signing.conftest import NOON, DictBlobs

OWNED = {
    "lost-root-key": ("S1", "S4"),
    "stolen-online-key": ("S5", "S6"),
    "stolen-vendor-threshold": ("S21",),
    "wiped-bucket": ("S12",),
    "fast-forward": ("S13",),
}


PLAYED = [pytest.param(name, marks=pytest.mark.requirement(*OWNED[name])) for name in DRILLS]


@pytest.mark.requirement("S67")
@pytest.mark.parametrize("name", PLAYED)
async def test_a_drill_holds(name: str, tmp_path: Path) -> None:
    scene = Scene(DictBlobs(), tmp_path, lambda: NOON)
    assert await play(name, scene), [step.what for step in scene.steps]
    assert all(step.held for step in scene.steps)
    assert len(scene.steps) >= 5
