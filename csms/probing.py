"""What a node asks by itself: after a boot, for what a charger did not tell without being asked."""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress

import structlog

from csms.capabilities import knows_capabilities
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    TriggerKind,
    TriggerMessage,
)
from csms.errors import CallFailed, CommandTimeout, CsmsError
from csms.session import Session
from storage.errors import AmpwaveError
from storage.events import ConnectorStatus
from storage.ports import ChargerStore
from storage.twin import OperationSection

log = structlog.get_logger(__name__)


PAUSES_S = (5.0, 20.0, 60.0, 300.0)
"""Between one try and the next."""


async def ask_after_boot(
    session: Session,
    chargers: ChargerStore,
    delay_s: float,
    deadline_s: float,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Learn the charger's capabilities, and its connectors if it told nothing of them, or nothing good.

    Unknown connectors count as busy, so without this a quiet charger could never be updated. One that we
    put back into service while it boots may tell what it was before, and never what it is now (Open OCPP
    1.5.8): it would stay out of service here until somebody charges. A charger that does not answer yet is
    asked again; while the store is away, for as long as it takes: nobody else would ask.
    """
    await asyncio.sleep(delay_s)
    unanswered = 0
    for number in itertools.count():
        try:
            return await _ask(session, chargers, deadline_s)
        except CommandTimeout as error:
            log.info(
                "a charger did not answer after its boot", charger_id=session.charger_id, error=str(error)
            )
            unanswered += 1
            if unanswered > len(pauses_s):
                return None
        except CsmsError as error:
            log.info(
                "a charger was not asked after its boot", charger_id=session.charger_id, error=str(error)
            )
            return None
        except AmpwaveError as error:
            log.warning(
                "could not look up a charger after its boot", charger_id=session.charger_id, error=str(error)
            )
        await asyncio.sleep(pauses_s[min(number, len(pauses_s) - 1)])
    return None


def agreed_to_return(command: Command, answer: CommandAnswer) -> bool:
    """Whether a charger said that it goes back into service as a whole."""
    agreed = answer.status in (AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED)
    return isinstance(command, ChangeAvailability) and command.whole_back and agreed


async def ask_after_return(
    session: Session, chargers: ChargerStore, delay_s: float, deadline_s: float
) -> None:
    """Learn how a charger stands that agreed to be put back into service, where it still counts as out.

    It was asked last while it was out, after its boot, and said so. Some tell of no change that they were
    ordered, and some answer before they change.
    """
    await asyncio.sleep(delay_s)
    try:
        await session.settled()
        if out_of_service((await chargers.glance(session.charger_id)).operation):
            await _ask_for_status(session, deadline_s)
    except AmpwaveError as error:
        log.info(
            "a charger was not asked after it was put back", charger_id=session.charger_id, error=str(error)
        )


async def _ask(session: Session, chargers: ChargerStore, deadline_s: float) -> None:
    await session.settled()
    if not knows_capabilities(await chargers.manner(session.charger_id)):
        for command in session.dialect.capability_probes:
            await _try(session, command, deadline_s)
        await _ask_for_version(session, deadline_s)
        await session.settled()
    operation = (await chargers.glance(session.charger_id)).operation
    if not knows_connectors(operation) or out_of_service(operation):
        await _ask_for_status(session, deadline_s)


async def _ask_for_version(session: Session, deadline_s: float) -> None:
    """Without a version a charger joins no campaign, and its update is never proved (R28)."""
    for command in session.dialect.version_probes:
        if not session.version_unread:
            return
        await _try(session, command, deadline_s)


async def _try(session: Session, command: Command, deadline_s: float) -> None:
    """One that refuses one question may answer the next."""
    try:
        await session.send(command, deadline_s)
    except CallFailed as error:
        log.info("a charger answered no probe", charger_id=session.charger_id, error=str(error))


_TRIES = 3


async def ask_for_renewal(session: Session, booted: asyncio.Event, delay_s: float, deadline_s: float) -> None:
    """Have a charger with an expired certificate ask for a new one at once (A00.FR.429, A02).

    After its boot, before which it may refuse; one that only reconnects does not boot.
    """
    for _ in range(_TRIES):
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await booted.wait()
        booted.clear()
        try:
            answer = await session.send(TriggerMessage(TriggerKind.SIGN_CHARGING_STATION), deadline_s)
        except CsmsError as error:
            log.warning("a charger renews nothing", charger_id=session.charger_id, error=str(error))
            continue
        except AmpwaveError as error:
            log.warning("could not ask for a renewal", charger_id=session.charger_id, error=str(error))
            continue
        log.info("a renewal was asked for", charger_id=session.charger_id, answer=answer.status.value)
        if answer.status is AnswerStatus.ACCEPTED:
            return


def knows_connectors(operation: OperationSection | None) -> bool:
    """Whether the charger has reported a connector, not only itself as a whole."""
    return operation is not None and any(state.evse_id > 0 for state in operation.connectors.values())


def out_of_service(operation: OperationSection | None) -> bool:
    """Whether any part of the charger was unavailable when it last told."""
    return operation is not None and any(
        state.status is ConnectorStatus.UNAVAILABLE for state in operation.connectors.values()
    )


async def _ask_for_status(session: Session, deadline_s: float) -> None:
    for command in session.dialect.status_probes:
        answer = await session.send(command, deadline_s)
        if answer.status is not AnswerStatus.ACCEPTED:
            return
