"""Whatever a peer sends: nothing raises, every call gets one valid answer, nothing grows or stays behind."""

import asyncio
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms import schemas
from csms.commands import Reset, ResetKind
from csms.errors import CsmsError
from csms.frames import MAX_MESSAGE_ID, OCPP16, OCPP21, OCPP201, Fault, Frame, Malformed, error_code, parse

FRAMES = Path(__file__).parents[2] / "frames"
DIALECTS = [OCPP16, OCPP201, OCPP21]
CODES = {dialect: {error_code(fault, dialect) for fault in Fault} for dialect in DIALECTS}
RESET = Reset(ResetKind.ON_IDLE)
FLUSH = "the last one"

Raw = str | bytes


def recorded(*names: str) -> list[list[Any]]:
    """Every frame that a charger of this generation sent, and those written for the messages it lacks."""
    paths = [path for name in names for path in sorted(FRAMES.glob(name))]
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return [row["frame"] for row in rows if row["dir"] == "from_charger" and row["frame"]]


SEEDS = {
    OCPP16: recorded("*ocpp16.jsonl", "written/ocpp1.6.jsonl"),
    OCPP201: recorded("*ocpp201.jsonl", "written/ocpp2.jsonl", "written/ocpp2.0.1.jsonl"),
    OCPP21: recorded("*ocpp201.jsonl", "written/ocpp2.jsonl", "written/ocpp2.1.jsonl"),
}


async def conversation(world: Any, raws: Sequence[Raw]) -> list[Any]:
    """Say all of it, and a last Heartbeat; everything that was heard until its answer, that included."""
    for raw in raws:
        world.socket.say_raw(raw)
    world.socket.say(2, FLUSH, "Heartbeat", {})
    heard: list[Any] = []
    while not heard or heard[-1][:2] != [3, FLUSH]:
        heard.append(await world.socket.hear())
    return heard


UNANSWERED = {OCPP16: (3, 4), OCPP201: (3, 4), OCPP21: (3, 4, 5, 6)}
"""Message types to which no answer is due, whatever is wrong with them."""


def called(dialect: str, raws: Sequence[Raw]) -> dict[str, list[Any]]:
    """What wants an answer among what was said, by message id: the envelope alone decides that."""
    found: dict[str, list[Any]] = {}
    for raw in raws:
        if isinstance(raw, bytes):
            continue  # OCPP-J is text
        try:
            frame = json.loads(raw)
        except ValueError:
            continue
        if isinstance(frame, list) and len(frame) > 1 and not answers(dialect, frame[0]):
            identity = frame[1]
            if isinstance(identity, str) and 0 < len(identity) <= MAX_MESSAGE_ID:
                found.setdefault(identity, []).append(frame)
    return found


def answers(dialect: str, kind: Any) -> bool:
    return type(kind) is int and kind in UNANSWERED[dialect]


def check_heard(dialect: str, raws: Sequence[Raw], heard: list[Any]) -> None:
    """One answer for every call, and each a valid frame of this version."""
    due = {identity: len(frames) for identity, frames in called(dialect, raws).items()}
    got = Counter(frame[1] for frame in heard if frame[0] in (3, 4))
    assert {identity: got[identity] for identity in due} == due
    for frame in heard:
        check_valid(dialect, frame, called(dialect, raws))


def check_valid(dialect: str, frame: list[Any], calls: dict[str, list[Any]]) -> None:
    kind, identity = frame[0], frame[1]
    assert isinstance(identity, str)
    match kind:
        case 2:
            assert schemas.check_request(dialect, frame[2], frame[3]) is None
        case 3:
            assert len(frame) == 3
            calls = {FLUSH: [[2, FLUSH, "Heartbeat", {}]], **calls}
            actions = [call[2] for call in calls[identity] if call[0] == 2 and len(call) == 4]
            actions = [each for each in actions if isinstance(each, str) and schemas.knows(dialect, each)]
            assert any(schemas.check_answer(dialect, action, frame[2]) is None for action in actions)
        case _:
            assert kind == 4 or (kind == 5 and dialect == OCPP21)
            assert len(frame) == 5
            assert frame[2] in CODES[dialect]
            assert frame[2] != "InternalError", "an exception of ours is behind it"
            assert len(frame[3]) <= 255
            assert frame[4] == {}


# Made-up frames.

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
ACTION = st.sampled_from(
    [
        "Heartbeat",
        "BootNotification",
        "MeterValues",
        "StatusNotification",
        "TransactionEvent",
        "StartTransaction",
    ]
)
ARRAY = st.lists(VALUE, max_size=6).map(json.dumps)
CALL = st.tuples(st.integers(0, 9), TEXT, ACTION | TEXT, st.dictionaries(TEXT, VALUE, max_size=4)).map(
    json.dumps
)
RAW = ARRAY | CALL | st.text(max_size=60) | st.binary(max_size=60)


@settings(max_examples=60, deadline=None)
@given(dialect=st.sampled_from(DIALECTS), raws=st.lists(RAW, max_size=20))
def test_made_up_frames(opened_world: Any, dialect: str, raws: list[Raw]) -> None:
    async def play() -> None:
        async with opened_world(dialect) as world:
            check_heard(dialect, raws, await conversation(world, raws))
        await nothing_left()

    asyncio.run(play())


# Recorded frames, damaged.


def damaged(frame: list[Any], chance: random.Random) -> Raw:
    """A frame as a broken or hostile charger might send it."""
    text = json.dumps(chance.choice([mutated, mutated, swapped, lambda frame, _: frame])(frame, chance))
    return chance.choice([intact, intact, intact, cut, garbled, binary])(text, chance)


WORDS: list[Any] = [
    None, True, 0, -1, 2**63, 1e300, "", "x" * 2000, "\u0000", "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59+23:59", [], {}, [[[]]], {"a": {"b": []}}, "Available", "Installed", "ﷺ" * 90,
]  # fmt: skip


def mutated(value: Any, chance: random.Random) -> Any:
    """The same structure with a few leaves, keys or items changed."""
    if isinstance(value, dict):
        kept = {key: mutated(each, chance) for key, each in value.items() if chance.random() > 0.03}
        return kept | ({"surprise": chance.choice(WORDS)} if chance.random() < 0.05 else {})
    if isinstance(value, list):
        return [
            mutated(each, chance) for each in value for _ in range(chance.choices((1, 0, 2), (50, 1, 1))[0])
        ]
    return chance.choice(WORDS) if chance.random() < 0.05 else value


def swapped(frame: list[Any], chance: random.Random) -> list[Any]:
    """Another action, kind or id."""
    place = chance.randrange(len(frame))
    words = [*WORDS, 2, 3, 4, 5, 6, 7, "MeterValues", "NotifyReport", "SignCertificate"]
    return [*frame[:place], chance.choice(words), *frame[place + 1 :]]


def intact(text: str, _: random.Random) -> Raw:
    return text


def cut(text: str, chance: random.Random) -> Raw:
    return text[: chance.randrange(len(text) + 1)]


def garbled(text: str, chance: random.Random) -> Raw:
    place = chance.randrange(len(text))
    return text[:place] + chance.choice('[]{}",:0\x00') + text[place + 1 :]


def binary(text: str, _: random.Random) -> Raw:
    return text.encode()


def barrage(dialect: str, seed: int, count: int) -> list[Raw]:
    chance = random.Random(seed)
    return [damaged(chance.choice(SEEDS[dialect]), chance) for _ in range(count)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_damaged_recordings(opened_world: Any, dialect: str, seed: int) -> None:
    raws = barrage(dialect, seed, 300)

    async def play() -> None:
        async with opened_world(dialect) as world:
            check_heard(dialect, raws, await conversation(world, raws))
        await nothing_left()

    asyncio.run(play())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_commands_get_through_a_barrage_or_fail_in_words(opened_world: Any, dialect: str) -> None:
    raws = barrage(dialect, 99, 200)

    async def command(world: Any) -> None:
        try:
            await world.session.send(RESET, 0.05)
        except CsmsError:
            return

    async def play() -> None:
        async with opened_world(dialect) as world:
            commands = [asyncio.create_task(command(world)) for _ in range(5)]
            heard = await conversation(world, raws)
            await asyncio.gather(*commands)
            check_heard(dialect, raws, heard)
        await nothing_left()

    asyncio.run(play())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_barrage_leaves_nothing_in_memory(opened_world: Any, dialect: str) -> None:
    async def play() -> None:
        async with opened_world(dialect) as world:
            await told(world, 1)  # what is bounded fills up: connectors, sessions, deviations
            before = footprint(world)
            await told(world, 2)
            assert footprint(world) - before < 512 * 1024

    async def told(world: Any, seed: int) -> None:
        for part in range(4):
            await conversation(world, barrage(dialect, 1000 * seed + part, 500))
            # The store's own keeping is not the session's.
            world.store.frames.clear()
            world.store.events.clear()
            world.store.keys.clear()
            world.ids.ids.clear()

    def footprint(_: Any) -> int:
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        asyncio.run(play())
    finally:
        tracemalloc.stop()


async def nothing_left() -> None:
    """No task stays behind a closed session."""
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


# The parser alone.


@settings(max_examples=300, deadline=None)
@given(raw=RAW, dialect=st.sampled_from(DIALECTS))
def test_the_parser_gives_a_frame_of_this_version_or_says_what_is_wrong(raw: Raw, dialect: str) -> None:
    frame = parse(raw, dialect)
    if isinstance(frame, Malformed):
        assert frame.detail
    assert frame.message_id is None or 0 < len(frame.message_id) <= MAX_MESSAGE_ID


@pytest.mark.parametrize("damage", [cut, garbled])
def test_the_parser_survives_every_damage_of_every_recorded_frame(damage: Callable[..., Raw]) -> None:
    chance = random.Random(7)
    for dialect in DIALECTS:
        for frame in SEEDS[dialect]:
            for _ in range(5):
                assert isinstance(parse(damage(json.dumps(frame), chance), dialect), Frame)
