"""OCPP 1.6: what was out before an update stays out all the time, and the rest comes back (X3)."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import combinations

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.conclusion import ConcludeInput, RestoreInput
from activities.dispatch import DispatchActivities
from activities.facts import out_of_service
from activities.health import _known_of
from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, PutBackInput
from activities.signer import DirectiveOrder, SignerActivities
from csms.commands import AnswerStatus, ChangeAvailability, Command, CommandAnswer, TriggerMessage
from csms.connector_reports import WHOLE
from csms.errors import CommandTimeout
from csms.projection import project
from storage.campaign import Outcome
from storage.charger import OutOfService
from storage.events import CommandAnswered, ConnectorStatus, EventRecord
from storage.twin import ConfigurationSection, ConnectivitySection, ConnectorState, OperationSection
from tests.unit.activities.world import START, World

pytestmark = pytest.mark.requirement("X3")
CP = "CP000"
ALL = (1, 2, 3)


@dataclass
class Box:
    """A 1.6 charger with three connectors; ``own_zero``: connector 0 has a state of its own."""

    world: World
    own_zero: bool = False
    out: set[int] = field(default_factory=lambda: {2})
    opened: set[int] = field(default_factory=set)
    """Whoever came into service, ever."""
    refuses: dict[ChangeAvailability, AnswerStatus | Exception] = field(default_factory=dict)
    count: str | None = "3"
    quiet: bool = False
    """It tells of connector 0 after a boot and when it is asked, and never else."""
    of_zero: bool = True
    """It tells of it when it is asked."""
    deaf: bool = False
    """It tells nothing when it is asked."""

    def start(self) -> None:
        link = ConnectivitySection(online=True, dialect="ocpp1.6")
        values = {} if self.count is None else {"NumberOfConnectors": self.count}
        self.world._twin(CP, connectivity=link, configuration=ConfigurationSection(values=values))
        self.world.on_send = self.hear
        self.tell()

    def tell(self, *, asked: bool = True) -> None:
        states = {}
        known = self.world.chargers.rows[CP].twin.operation
        for number in (0, *ALL):
            if number == 0 and self.quiet and not asked:
                if known and WHOLE in known.connectors:
                    states[WHOLE] = known.connectors[WHOLE]
                continue
            whole_out = 0 in self.out and self.own_zero
            gone = number in self.out or (number > 0 and whole_out)
            status = ConnectorStatus.UNAVAILABLE if gone else ConnectorStatus.AVAILABLE
            inner = min(number, 1)
            key = f"{number}.{inner}"
            states[key] = ConnectorState(number, inner, status, START, reported_at=self.world.now)
        self.world._twin(CP, operation=OperationSection(states))

    async def hear(self, charger_id: str, command: Command) -> None:
        assert charger_id == CP
        if isinstance(command, TriggerMessage) and not self.deaf:
            self.tell(asked=self.of_zero)
        if not isinstance(command, ChangeAvailability):
            return
        problem = self.refuses.pop(command, None)
        self.world.answers.pop(ChangeAvailability, None)
        if isinstance(problem, Exception):
            raise problem
        if problem is not None:
            self.world.answers[ChangeAvailability] = CommandAnswer(problem)
            return
        # OCPP 1.6 5.2: connector 0 is the charger and all its connectors.
        reached = {command.evse_id} if command.evse_id else {0, *ALL} if self.own_zero else set(ALL)
        if command.operative:
            self.opened |= reached & self.out
            self.out -= reached
        else:
            self.out |= reached
        self.agree(command)
        self.tell(asked=False)

    def agree(self, command: ChangeAvailability) -> None:
        """What its node makes of an accepted command."""
        told = CommandAnswered("ChangeAvailability", "m1", "Accepted", whole_back=command.whole_back or None)
        twin = self.world.chargers.rows[CP].twin
        after = project(twin, EventRecord(CP, told, self.world.now, self.world.now, 1))
        self.world._twin(CP, operation=after.operation)

    @property
    def told(self) -> list[tuple[bool, int | None]]:
        sent = (command for _, command in self.world.sent)
        return [(one.operative, one.evse_id) for one in sent if isinstance(one, ChangeAvailability)]


@pytest.fixture
async def world() -> World:
    world = World()
    world.add_chargers(1)
    await world.add_campaign([[CP]], world.plan(1))
    await world.approve("c1")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    await signer.sign_directive(DirectiveOrder("c1", 0, 0, 1, 0, 500, 3600.0))
    return world


def hands(world: World) -> DispatchActivities:
    return DispatchActivities(replace(world.node, command_seconds=0.0))


async def dispatch(world: World) -> DispatchAnswer:
    return await ActivityEnvironment().run(hands(world).dispatch_update, DispatchInput("c1", 0, 0, CP, 1, 1))


async def conclude(world: World, box: Box) -> None:
    box.start()
    end = ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "it booted")
    await ActivityEnvironment().run(hands(world).conclude_update, RestoreInput(end, session_epoch=1))


async def put_back(world: World) -> bool:
    return await ActivityEnvironment().run(hands(world).put_back_charger, PutBackInput(CP, 1))


async def test_what_was_out_is_out_all_the_time(world: World) -> None:
    box = Box(world)
    box.start()
    answer = await dispatch(world)
    assert answer.kind is DispatchKind.ACCEPTED
    assert box.out == {1, 2, 3}
    await conclude(world, box)
    assert (box.out, box.opened) == ({2}, {1, 3})
    assert box.told == [(False, 1), (False, 3), (False, 2), (True, 1), (True, 3)]
    assert await world.out_of_service.get(CP) is None


@pytest.mark.parametrize("own_zero", [False, True])
@pytest.mark.parametrize("count", ["3", "4", None])
@pytest.mark.parametrize("before", [each for size in range(4) for each in combinations(ALL, size)])
async def test_it_is_as_it_was_whatever_it_was(
    world: World, before: tuple[int, ...], count: str | None, own_zero: bool
) -> None:
    box = Box(world, own_zero, set(before), count=count)
    box.start()
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED
    assert set(ALL) <= box.out, "no car begins anywhere"
    await conclude(world, box)
    assert box.out == set(before)
    if count == "3":
        assert not box.opened & set(before), "not for a moment"


async def test_one_that_never_told_of_itself_is_drained_with_the_whole(world: World) -> None:
    box = Box(world, count="4")
    box.start()
    await dispatch(world)
    assert box.told == [(False, None)]


@pytest.mark.parametrize("own_zero", [False, True])
async def test_one_that_was_taken_out_as_a_whole_comes_back(world: World, own_zero: bool) -> None:
    """By a release of before, or while its configuration was unknown."""
    box = Box(world, own_zero, {0, 1, 2, 3} if own_zero else {1, 2, 3})
    box.start()
    await world.out_of_service.add(OutOfService(CP, "site-0", ("2.1",), START, "update"))
    assert await put_back(world)
    assert box.out == {2}
    assert (True, None) in box.told or not own_zero


async def test_firmware_that_opens_a_connector_does_not_keep_it_open(world: World) -> None:
    box = Box(world)
    box.start()
    await dispatch(world)
    box.out = set()
    await conclude(world, box)
    assert box.out == {2}


async def test_one_that_is_silent_half_way_is_finished_later(world: World) -> None:
    box = Box(world)
    box.start()
    await dispatch(world)
    back = ChangeAvailability(operative=True, evse_id=3, connector_id=1)
    box.refuses[back] = CommandTimeout(CP, "ChangeAvailability", 1.0)
    with pytest.raises(ApplicationError, match="did not answer"):
        await conclude(world, box)
    assert box.out == {2, 3}
    assert await world.out_of_service.get(CP) is not None
    world.leases.rows.clear()
    assert await put_back(world)
    assert (box.out, box.opened) == ({2}, {1, 3})


async def test_a_second_connector_that_stays_open_gives_the_first_one_back(world: World) -> None:
    box = Box(world)
    box.start()
    box.refuses[ChangeAvailability(operative=False, evse_id=3, connector_id=1)] = AnswerStatus.SCHEDULED
    answer = await dispatch(world)
    assert (answer.kind, answer.for_session, answer.drained) == (DispatchKind.NOT_NOW, True, False)
    assert not world.updates()
    assert box.out == {2}
    assert await world.out_of_service.get(CP) is None


@pytest.mark.parametrize("deaf_before", [False, True])
async def test_no_word_of_it_is_no_proof_that_it_is_back(world: World, deaf_before: bool) -> None:
    """Where it tells nothing after all, it gets the command for the whole, as ever."""
    box = Box(world)
    box.start()
    if not deaf_before:
        await dispatch(world)
    box.tell = lambda **_: None  # type: ignore[method-assign]
    if deaf_before:  # What is known says that it serves cars, and is older than the question.
        await dispatch(world)
        world.now += timedelta(seconds=1)
    await conclude(world, box)
    assert box.told[-2:] == [(True, None), (False, 2)]
    assert box.out == {2}


@pytest.mark.parametrize("own_zero", [False, True])
async def test_a_charger_that_never_tells_again_of_connector_0_is_in_service(
    world: World, own_zero: bool
) -> None:
    """It was asked after its boot, while it was out, and is put back later (``pace.steady_seconds``)."""
    box = Box(world, own_zero, set(), quiet=True)
    box.start()
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED
    box.out.add(0)  # As all of it is out, it says so of itself, too.
    box.tell()
    assert _known_of(world.chargers.rows[CP]).unavailable, "it is, through us"
    end = ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "it stayed up")
    box.out -= set() if own_zero else {0}
    await ActivityEnvironment().run(hands(world).conclude_update, RestoreInput(end, session_epoch=1))
    view = world.chargers.rows[CP]
    assert not box.out
    assert not _known_of(view).unavailable, "a gate has nothing to hold against it"
    assert out_of_service(view.twin.operation) == (), "and the next update leaves nothing out after it"


def told_long_ago(world: World) -> None:
    """That connector 0 is out."""
    operation = world.chargers.rows[CP].twin.operation
    assert operation is not None
    old = ConnectorState(0, 0, ConnectorStatus.UNAVAILABLE, START, reported_at=START)
    world._twin(CP, operation=OperationSection({**operation.connectors, WHOLE: old}))
    world.now += timedelta(hours=1)


async def updated(world: World) -> DispatchAnswer:
    answer = await dispatch(world)
    end = ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "it booted")
    await ActivityEnvironment().run(hands(world).conclude_update, RestoreInput(end, session_epoch=1))
    assert await world.out_of_service.get(CP) is None
    return answer


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("count", ["3", "4", None])
async def test_no_update_leaves_connector_0_out_of_service_for_an_old_word(
    world: World, count: str | None, tells: bool
) -> None:
    """Whoever knows it again by asking, or hears of all others that they serve, leaves nothing out."""
    box = Box(world, True, set(), count=count, quiet=True, of_zero=tells)
    box.start()
    told_long_ago(world)
    assert (await updated(world)).out_of_service == ()
    assert box.out == set()
    assert out_of_service(world.chargers.rows[CP].twin.operation) == ()


async def test_connector_0_is_left_alone_where_nobody_knows_how_it_is(world: World) -> None:
    box = Box(world, True, set(), quiet=True)
    box.start()
    told_long_ago(world)
    world.answers[TriggerMessage] = CommandAnswer(AnswerStatus.REJECTED)
    box.deaf = True
    assert (await updated(world)).out_of_service == (WHOLE,)
    assert box.out == set()
    assert not {None, 0} & {evse for _, evse in box.told}, "neither taken out nor put back"


async def test_connector_0_stays_out_where_it_is_although_others_tell_that_they_serve(world: World) -> None:
    box = Box(world, False, {0}, quiet=True)
    box.start()
    assert (await updated(world)).out_of_service == (WHOLE,)
    assert box.out == {0}
    assert not {None, 0} & {evse for _, evse in box.told}, "neither taken out nor put back"


async def test_one_that_answers_nothing_is_not_updated(world: World) -> None:
    box = Box(world, True, set(), quiet=True)
    box.start()
    told_long_ago(world)
    world.answers[TriggerMessage] = CommandTimeout(CP, "TriggerMessage", 1.0)
    out = ChangeAvailability(operative=False, evse_id=1, connector_id=1)
    box.deaf, box.refuses = True, {out: CommandTimeout(CP, "ChangeAvailability", 1.0)}
    assert (await dispatch(world)).kind is DispatchKind.NOT_NOW
    assert not world.updates()


async def test_a_charger_that_its_owner_closed_is_out_of_service(world: World) -> None:
    box = Box(world, True, {0}, quiet=True)
    box.start()
    assert _known_of(world.chargers.rows[CP]).unavailable
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED
    await conclude(world, box)
    assert (box.out, box.told) == ({0}, []), "and stays so: it needed no drain"
