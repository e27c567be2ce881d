"""Signals that set a charger aside, from frames on a socket to the door that stays shut (F34)."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from storage.clock import system_clock
from storage.events import EventKind
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.trust import PostgresTrustStore
from storage.quarantine import QuarantineAct, Signal
from storage.trust import Acceptance
from storage.twin import Lifecycle

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F34")]


async def look(place: Any) -> None:
    trust = PostgresTrustStore(place.engine, quarantine=True)
    while (await trust.advance_trust()).read:
        pass


async def refused(place: Any, node: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with place.charger(node):
            pass
    return int(caught.value.response.status_code)


async def test_two_that_share_an_identity_are_set_aside_and_taken_back_by_a_person(place: Any) -> None:
    desk, node = PostgresProvisioningStore(place.engine), await place.start_node()
    async with AsyncExitStack() as stack:
        for turn in range(4):
            source = ("127.0.0.1", "127.0.0.2")[turn % 2]
            peer = await stack.enter_async_context(place.charger(node, local_addr=(source, 0)))
            await peer.boot()
        closed = await place.wait_for(EventKind.CONNECTION_CLOSED, 3)
        assert {each["code"] for each in closed} == {4001}
    await look(place)
    assert (await place.chargers.get("CP-1")).charger.lifecycle is Lifecycle.QUARANTINED
    (case,) = await desk.cases("CP-1")
    assert (case.signal, case.before, case.actor) == (Signal.CLONE, Lifecycle.ACTIVE, "trust")
    assert "127.0.0.1 and 127.0.0.2" in case.reason
    assert await refused(place, node) == 403
    release = QuarantineAct("CP-1", "sam@test", "its password is new", system_clock())
    with pytest.raises(Exception, match="still in doubt"):
        await desk.take_back(release)
    held = Acceptance("CP-1", ("security.clone",), "sam@test", "found the other one", system_clock())
    await PostgresRegistryStore(place.engine).accept(held)
    await desk.take_back(release)
    (over,) = await desk.cases("CP-1")
    assert (over.released_by, over.after) == ("sam@test", Lifecycle.REGISTERED)
    async with place.charger(node) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
    await look(place)
    assert (await place.chargers.get("CP-1")).charger.lifecycle is Lifecycle.REGISTERED


async def test_a_tamper_signal_shuts_the_door_and_a_stranger_who_fails_shuts_it_for_nobody(
    place: Any,
) -> None:
    node = await place.start_node()
    for _ in range(3):
        with pytest.raises(InvalidStatus):
            async with place.charger(node, password="not-the-password-of-it"):
                pass
    await place.wait_for(EventKind.CONNECTION_REFUSED, 3)
    await look(place)
    assert (await place.chargers.get("CP-1")).charger.lifecycle is Lifecycle.ACTIVE
    async with place.charger(node) as peer:
        await peer.boot()
        opened = {"type": "TamperDetectionActivated", "timestamp": "2026-11-25T12:00:00Z"}
        await peer.ask(2, "t", "SecurityEventNotification", opened)
    await look(place)
    assert await refused(place, node) == 403
    (case,) = await PostgresProvisioningStore(place.engine).cases("CP-1")
    assert case.signal is Signal.TAMPER
