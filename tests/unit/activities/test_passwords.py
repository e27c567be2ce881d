"""A new password for a charger: what holds it back, what the end says, and that nothing says the password."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.operator import CommandActivities, SendOrder, Sent
from activities.passwords import end_of_change
from csms.access import RotatePassword
from csms.commands import AnswerStatus
from csms.errors import NotAccepted, Unsupported
from csms.ports import PasswordChange
from storage.codec import to_json
from storage.command import CommandState
from storage.credentials import PendingFate
from storage.errors import Conflict, NotFound
from tests.unit.activities.world import TAKEN, World


@pytest.fixture
def world() -> World:
    made = World()
    made.add_chargers(1, sites=1)
    return made


async def rotate(world: World) -> Sent:
    order = SendOrder("c1", "CP000", 1, RotatePassword.__name__, to_json(RotatePassword()), 5.0)
    return await CommandActivities(world.node).send_command(order)


async def test_it_is_the_node_that_makes_the_password(world: World) -> None:
    sent = await rotate(world)
    assert world.rotated == ["CP000"]
    assert world.sent == [], "no command with a password in it passes here"
    assert sent.end.state is CommandState.ANSWERED
    assert sent.end.reason == "it answered Accepted: it has a new password, and the old one is dead"
    assert sent.end.returned == {}


@pytest.mark.requirement("X1")
async def test_no_password_is_changed_while_somebody_charges(world: World) -> None:
    # Some chargers restart or reconnect for it.
    world.on_settle = world.plug_in
    assert (await rotate(world)).end.state is CommandState.BUSY
    assert world.rotated == []


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        (TAKEN, CommandState.ANSWERED, "old one is dead"),
        (PasswordChange(PendingFate.DROP, AnswerStatus.REJECTED), CommandState.ANSWERED, "keeps its old"),
        (
            PasswordChange(PendingFate.DROP, AnswerStatus.NOT_IMPLEMENTED),
            CommandState.UNSUPPORTED,
            "keeps its old",
        ),
        (
            PasswordChange(PendingFate.HOLD, AnswerStatus.REBOOT_REQUIRED),
            CommandState.ANSWERED,
            "either may be live",
        ),
        (PasswordChange(PendingFate.HOLD, None), CommandState.SILENT, "either may be live"),
    ],
)
def test_the_end_says_which_password_is_live(change: PasswordChange, state: CommandState, words: str) -> None:
    end = end_of_change(change)
    assert end.state is state
    assert words in end.reason


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (NotFound("password of charger", "CP000"), CommandState.REFUSED, "no password to change"),
        (Conflict("One is pending.", hint="Restart it."), CommandState.HELD, "One is pending. Restart it."),
        (Unsupported("ocpp1.6", "X"), CommandState.UNSUPPORTED, "no message"),
        (NotAccepted("CP000", "SetVariables"), CommandState.REFUSED, "not accepted yet"),
    ],
)
async def test_what_could_not_even_be_tried_has_a_reason(
    world: World, error: Exception, state: CommandState, words: str
) -> None:
    world.password_change = error
    end = (await rotate(world)).end
    assert end.state is state
    assert words in end.reason


async def test_a_charger_that_moved_to_another_node_is_looked_for_there(world: World) -> None:
    route = world.routes.rows["CP000"]
    world.routes.rows["CP000"] = replace(route, session_epoch=2)
    with pytest.raises(ApplicationError) as caught:
        await rotate(world)
    assert caught.value.type == "NotConnectedHere"
