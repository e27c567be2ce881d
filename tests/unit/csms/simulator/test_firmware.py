"""Images: the same bytes for the same arguments, a script that strikes the same chargers."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.simulator.errors import ImageInvalid
from csms.simulator.firmware import (
    HEAD_BYTES,
    MAGIC,
    Fate,
    Image,
    Script,
    build_image,
    fate,
    faulted,
    read_image,
)
from csms.simulator.flash import Boot, Flash

FLEET = [f"SIM-{number:04d}" for number in range(2000)]


def test_an_image_is_reproducible_and_says_what_it_is() -> None:
    script = Script(seed=4, boot_loop_share=0.5, error_code="OverVoltage")
    image = build_image("1.2", size=100_000, seed=9, script=script)
    assert len(image) == 100_000
    assert image == build_image("1.2", size=100_000, seed=9, script=script)
    assert image != build_image("1.2", size=100_000, seed=10, script=script)
    assert read_image(image[:HEAD_BYTES]) == Image("1.2", script)


def test_a_good_image_needs_no_script() -> None:
    image = read_image(build_image("1.1", size=1000, seed=1))
    assert {fate(image.script, charger) for charger in FLEET} == {Fate.HEALTHY}
    assert not any(faulted(image.script, charger, 1) for charger in FLEET)


def test_an_image_without_room_for_its_head_is_refused() -> None:
    with pytest.raises(ImageInvalid, match="no room"):
        build_image("1.1", size=10, seed=1)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"PK\x03\x04",
        MAGIC,
        MAGIC + b'{"version": "1.1"',
        MAGIC + b"[]\n",
        MAGIC + b'{"version": "1.1", "script": {"surprise": 1}}\n',
        MAGIC + b'{"version": "1.1", "script": 7}\n',
        MAGIC + b"\xff\n",
    ],
)
def test_anything_else_is_no_image(head: bytes) -> None:
    with pytest.raises(ImageInvalid):
        read_image(head)


@given(st.binary(max_size=200))
def test_reading_never_fails_in_another_way(head: bytes) -> None:
    for text in (head, MAGIC + head, MAGIC + head + b"\n"):
        image = None
        with suppress(ImageInvalid):
            image = read_image(text)
        assert image is None or isinstance(image.version, str)


def test_shares_strike_about_so_many_and_always_the_same() -> None:
    script = Script(seed=3, boot_loop_share=0.2, install_failure_share=0.1, silent_share=0.05, lie_share=0.05)
    drawn = [fate(script, charger) for charger in FLEET]
    wanted = {Fate.BOOT_LOOP: 0.2, Fate.INSTALL_FAILURE: 0.1, Fate.SILENT: 0.05, Fate.LIE: 0.05}
    for outcome, share in wanted.items():
        assert drawn.count(outcome) / len(FLEET) == pytest.approx(share, abs=0.03)
    assert drawn == [fate(script, charger) for charger in FLEET]
    assert drawn != [fate(Script(seed=4, boot_loop_share=0.4), charger) for charger in FLEET]


def test_connectors_of_one_charger_are_struck_apart() -> None:
    script = Script(seed=3, faulted_share=0.3)
    pairs = [(faulted(script, charger, 1), faulted(script, charger, 2)) for charger in FLEET]
    assert sum(map(sum, pairs)) / (2 * len(FLEET)) == pytest.approx(0.3, abs=0.03)
    assert (True, False) in pairs
    assert (True, True) in pairs


def boots(script: Script, times: int) -> tuple[Flash, list[tuple[Boot, str]]]:
    flash = Flash("SIM-0001", Image("1.1"))
    flash.write(Image("1.2", script))
    return flash, [(flash.start(), flash.running.version) for _ in range(times)]


@pytest.mark.parametrize(
    ("script", "outcome", "version"),
    [
        (Script(), Boot.RUNS, "1.2"),
        (Script(lie_share=1), Boot.LIES, "1.1"),
        (Script(silent_share=1), Boot.SILENT, "1.1"),
    ],
)
def test_a_start_on_a_new_image(script: Script, outcome: Boot, version: str) -> None:
    flash, history = boots(script, 1)
    assert history == [(outcome, version)]
    flash.settle()
    assert flash.start() is Boot.RUNS
    assert flash.running.version == version


def test_a_boot_loop_ends_on_the_previous_bank_and_stays_there() -> None:
    flash, history = boots(Script(boot_loop_share=1, boot_loops=3), 5)
    assert history == [(Boot.CRASHES, "1.2")] * 3 + [(Boot.FELL_BACK, "1.1")] * 2
    flash.settle()
    assert flash.start() is Boot.RUNS
    assert flash.running.version == "1.1"


def test_an_image_after_a_fall_back_starts_with_a_clean_slate() -> None:
    flash, _ = boots(Script(boot_loop_share=1, boot_loops=1), 2)
    flash.settle()
    flash.write(Image("1.3"))
    assert flash.start() is Boot.RUNS
    assert flash.running.version == "1.3"
