"""A person hears of a webhook that does not take its notices, and that it takes them again."""

import pytest

from storage.incident import IncidentKind
from tests.support.herald_world import BROKEN, DOWN, HeraldWorld
from workflows.notice_rules import ALARM_AFTER, DOWN_AFTER, MAX_REFUSALS, Answer

pytestmark = pytest.mark.requirement("X15")


@pytest.fixture
def world() -> HeraldWorld:
    return HeraldWorld()


async def test_a_person_learns_of_one_that_fails_for_long_and_of_its_return(world: HeraldWorld) -> None:
    await world.hook("down")
    world.post.answers["down"] = DOWN
    world.tell(DOWN_AFTER)
    await world.deliver()
    for _ in range(ALARM_AFTER - 1):
        assert await world.incidents() == []
        await world.later(hours=1)
    assert await world.incidents() == [(IncidentKind.WEBHOOK_FAILING, "webhook/down")]
    world.post.answers.clear()
    await world.later(hours=1)
    await world.deliver()
    assert await world.incidents() == []


async def test_a_subject_that_fails_for_long_is_known_however_well_the_others_fare(
    world: HeraldWorld,
) -> None:
    await world.hook("ops")
    world.post.answers["campaign/bad"] = BROKEN
    world.about("campaign/bad")
    for _ in range(ALARM_AFTER):
        assert await world.incidents() == []
        world.about("campaign/good")
        await world.later(hours=1)
    world.about("campaign/good")
    await world.deliver()
    assert await world.incidents() == [(IncidentKind.WEBHOOK_FAILING, "webhook/ops")]
    world.post.answers.clear()
    await world.later(hours=1)
    assert await world.incidents() == []


async def test_what_was_given_up_and_is_taken_when_asked_for_again_closes_the_incident(
    world: HeraldWorld,
) -> None:
    await world.hook("picky")
    world.post.answers["picky"] = Answer("it answered 422", 422)
    world.tell()
    for _ in range(MAX_REFUSALS):
        await world.later(hours=1)
    assert await world.incidents()
    world.post.answers.clear()
    assert await world.notices.retry("picky") == 1
    world.herald = world.another_herald()
    world.tell()
    await world.deliver()
    assert await world.incidents() == []


async def test_an_incident_that_could_not_be_closed_is_closed_by_the_next_success(world: HeraldWorld) -> None:
    await world.hook("ops")
    world.post.answers["ops"] = BROKEN
    world.tell()
    for _ in range(ALARM_AFTER):
        await world.later(hours=1)
    world.post.answers.clear()
    real = world.watch.incidents.apply
    calls = 0

    async def away_once(changes: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no")
        return await real(changes)  # type: ignore[arg-type]

    world.watch.incidents.apply = away_once  # type: ignore[method-assign, assignment]
    world.herald = world.another_herald()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("workflows.herald._ROUND_S", 0.0)
        await world.later(hours=1)
    assert (await world.notices.get("ops")).waiting == 0
    assert await world.incidents()
    world.tell()
    await world.deliver()
    assert await world.incidents() == []
