"""For how long what a charger said last is believed, by how often its fleet has to say something."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.facts import group_of, situation_of
from storage.charger import stale_after
from tests.unit.activities.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.add_chargers(1, sites=1)
    return world


@pytest.mark.requirement("F104")
async def test_with_long_heartbeats_an_idle_charger_is_known_until_one_is_missed(world: World) -> None:
    view = world.chargers.rows["CP000"]
    heard = view.last_message_at
    assert heard is not None
    for after, short, long in ((15, True, True), (16, False, True), (90, False, True), (91, False, False)):
        now = heard + timedelta(minutes=after)
        for heartbeat_s, expected in ((60, short), (600, short), (3600, long)):
            seen = replace(view, stale_after=stale_after(heartbeat_s))
            assert situation_of(seen, None, None, now).heard_recently is expected
            assert group_of([seen], frozenset({"CP000"}), now).known == int(expected)
