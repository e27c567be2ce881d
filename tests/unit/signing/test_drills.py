"""The drills hold over a store in memory; and what they would notice is noticed."""

import asyncio
from pathlib import Path

import pytest

from api.cli.tuf_drill import NAMES
from signing.drill_records import DrillResult, drill_records, parse_record, record_drill
from signing.drills import DRILLS, Scene, Step, play
from signing.errors import VerificationFailed
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


def _result(name: str = "fast-forward", *, held: bool = True) -> DrillResult:
    return DrillResult(name, held, NOON, 1.25, [Step("it was done", held, 0.5)], "tools", "ada")


@pytest.mark.requirement("S67")
async def test_records_follow_each_other_and_none_can_be_changed_or_left_out() -> None:
    blobs = DictBlobs()
    for held in (True, False, True):
        await record_drill(blobs, _result(held=held))
    records = await drill_records(blobs)
    assert [(one.number, one.held) for one in records] == [(1, True), (2, False), (3, True)]
    whole = dict(blobs.objects)
    for key, data in whole.items():
        for attack in (data.replace(b'"held":false', b'"held":true'), data.replace(b"ada", b"eve")):
            if attack == data or key.endswith("000003.json"):
                continue
            blobs.objects = {**whole, key: attack}
            with pytest.raises(VerificationFailed):
                await drill_records(blobs)
    blobs.objects = {key: data for key, data in whole.items() if not key.endswith("000002.json")}
    assert len(await drill_records(blobs)) == 1
    blobs.objects["tuf/drills/000002.json"] = whole["tuf/drills/000003.json"]
    with pytest.raises(VerificationFailed, match="does not follow"):
        await record_drill(blobs, _result())


@pytest.mark.requirement("S67")
async def test_two_drills_at_once_both_get_a_number() -> None:
    blobs = DictBlobs()
    made = await asyncio.gather(*(record_drill(blobs, _result()) for _ in range(4)))
    assert sorted(one.number for one in made) == [1, 2, 3, 4]
    assert len(await drill_records(blobs)) == 4


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"number":1}', b"\xff"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        parse_record(data)


@pytest.mark.requirement("S67")
async def test_a_drill_that_does_not_hold_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def bad(scene: Scene) -> None:
        await scene.found()
        await scene.refused("a thief reads the repository", scene.read)

    monkeypatch.setitem(DRILLS, "bad", bad)
    scene = Scene(DictBlobs(), tmp_path, lambda: NOON)
    assert not await play("bad", scene)
    assert scene.steps[-1].what == "a thief reads the repository: NOT refused"
    assert not scene.steps[-1].held


def test_the_command_knows_every_drill() -> None:
    assert tuple(DRILLS) == NAMES
