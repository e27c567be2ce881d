import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import beating, mapped, to_application_error
from csms.errors import CallFailed, CommandTimeout, NotConnectedHere
from signing.errors import DirectiveRefused, KeyUnavailable, RepositoryUnreachable, StaleStage
from storage.errors import Conflict, EngineUnavailable, InvalidInput, NotFound


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (NotFound("charger", "CP1"), True),
        (Conflict("taken"), True),
        (EngineUnavailable("PostgreSQL is away"), False),
        (RepositoryUnreachable("no metadata"), False),
        (KeyUnavailable("the token is out"), False),
        (DirectiveRefused("another charger"), True),
        (StaleStage("stale"), True),
        (NotConnectedHere("CP1", 3), True),
        (CallFailed("CP1", "Reset", "InternalError", ""), True),
        (CommandTimeout("CP1", "UpdateFirmware", 5), True),
    ],
)
def test_the_type_is_the_class_and_retrying_is_its_own_decision(error, final) -> None:
    mapped_error = to_application_error(error)
    assert mapped_error.type == type(error).__name__
    assert mapped_error.non_retryable is final
    assert mapped_error.message == error.message


def test_every_problem_of_an_input_is_said() -> None:
    text = to_application_error(InvalidInput("Bad plan.", ["one", "two"])).message
    assert "one" in text
    assert "two" in text


@pytest.mark.requirement("S43")
async def test_the_text_of_an_unexpected_error_enters_no_history() -> None:
    @mapped
    async def leaks() -> None:
        raise RuntimeError("postgresql://user:secret@host/db")

    with pytest.raises(ApplicationError) as error:
        await leaks()
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None
    assert (error.value.type, error.value.non_retryable) == ("RuntimeError", False)


async def test_an_application_error_passes_as_it_is() -> None:
    @mapped
    async def raises() -> None:
        raise ApplicationError("as it is", type="Mine")

    with pytest.raises(ApplicationError, match="as it is") as error:
        await raises()
    assert error.value.type == "Mine"


async def test_heartbeats_go_on_while_the_work_does_and_stop_with_it() -> None:
    import asyncio

    beats = []
    enough = asyncio.Event()

    def on_heartbeat(*_details: object) -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()

    async def work() -> None:
        async with beating(0.001), asyncio.timeout(10):
            await enough.wait()

    environment = ActivityEnvironment()
    environment.on_heartbeat = on_heartbeat
    await environment.run(work)
    assert len(beats) >= 3


@pytest.mark.parametrize("patience_s", [0.004, None])
async def test_an_activity_beats_as_often_as_its_caller_listens(patience_s: float | None) -> None:
    """A killed worker is noticed by its silence; in a local activity nobody listens."""
    import asyncio
    from dataclasses import replace
    from datetime import timedelta

    beats: list[object] = []
    twice = asyncio.Event()

    def on_heartbeat(*_details: object) -> None:
        beats.append(1)
        if len(beats) == 2:
            twice.set()

    @mapped
    async def work() -> None:
        if patience_s is None:
            await asyncio.sleep(0.01)
            return
        async with asyncio.timeout(10):
            await twice.wait()

    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info, heartbeat_timeout=timedelta(seconds=patience_s) if patience_s else None
    )
    environment.on_heartbeat = on_heartbeat
    await environment.run(work)
    assert bool(beats) is (patience_s is not None)
