import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from csms.lease import unbounded_lease
from csms.registry import SessionRegistry
from csms.routes import LeaseTerms, RouteKeeper
from csms.sweeping import sweep, sweep_for_ever
from storage.errors import EngineUnavailable


@dataclass
class Lapsed:
    """Leases that nobody renews; ``away`` calls fail first."""

    found: list[tuple[str, int]] = field(default_factory=list)
    away: int = 0
    graces: list[timedelta] = field(default_factory=list)
    renewed: asyncio.Event = field(default_factory=asyncio.Event)

    async def abandon(self, grace: timedelta, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        self.graces.append(grace)
        return self.found

    async def renew(self, *_: object) -> Sequence[str]:
        if self.away:
            self.away -= 1
            raise EngineUnavailable("away")
        self.renewed.set()
        return []


@dataclass
class Records:
    kept: list[tuple[str, int]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, charger_id: str, session_epoch: int) -> None:
        self.kept.append((charger_id, session_epoch))
        self.told.set()


def keeper(store: Lapsed, clock: list[float], lease_s: float) -> RouteKeeper:
    registry = SessionRegistry()
    registry.enter(SimpleNamespace(charger_id="A", session_epoch=1, lease=unbounded_lease()))
    return RouteKeeper(store, registry, LeaseTerms("n", "b", lease_s, lambda: clock[0]))


async def test_what_is_found_is_put_on_record() -> None:
    store, records = Lapsed([("A", 1), ("B", 7)]), Records()
    await sweep(store, 30.0, records)
    assert records.kept == [("A", 1), ("B", 7)]
    assert store.graces == [timedelta(seconds=60)]


async def test_it_goes_on_and_on() -> None:
    store, records = Lapsed([("A", 1)]), Records()
    clock = [0.0]
    routes = keeper(store, clock, lease_s=0.01)
    clock[0] = 0.01 - 1e-9
    sweeping = asyncio.create_task(sweep_for_ever(store, routes, records))
    renewing = asyncio.create_task(routes.renew_for_ever(lambda _: None))
    async with asyncio.timeout(10):
        while not records.told.is_set():
            clock[0] += 0.001
            await asyncio.sleep(0.001)
    for task in (sweeping, renewing):
        task.cancel()
    assert records.kept[0] == ("A", 1)


async def test_a_node_that_failed_to_renew_or_was_frozen_is_not_steady() -> None:
    store, clock = Lapsed(away=1), [0.0]
    routes = keeper(store, clock, lease_s=0.03)
    clock[0] = 0.02
    assert routes.steady_s > 0
    renewing = asyncio.create_task(routes.renew_for_ever(lambda _: None))
    await asyncio.wait_for(store.renewed.wait(), 10)
    assert routes.steady_s == 0, "it failed once, at this very moment of its clock"
    clock[0] += 1000
    assert routes.steady_s == 0, "it was frozen, and has not renewed since"
    renewing.cancel()


async def test_a_route_that_moved_is_mute_at_once_though_the_rest_is_not_known_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class HalfKnown(Lapsed):
        async def renew(self, _node: str, _boot: str, epochs: Sequence[tuple[str, int]], *_: object) -> Any:
            if epochs == [("A", 1)]:
                return ["A"]
            raise EngineUnavailable("away")

    monkeypatch.setattr("csms.routes._CHUNK", 1)
    registry = SessionRegistry()
    moved, unknown = (
        SimpleNamespace(charger_id=name, session_epoch=1, lease=unbounded_lease()) for name in "AB"
    )
    registry.enter(moved)
    registry.enter(unknown)
    routes = RouteKeeper(HalfKnown(), registry, LeaseTerms("n", "b", 30.0, lambda: 0.0))
    with pytest.raises(EngineUnavailable):
        await routes.renew()
    assert not moved.lease.good
    assert unknown.lease.good
