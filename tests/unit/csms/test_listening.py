"""A node says that it listens, whatever happens to the database."""

import asyncio
from dataclasses import dataclass, field

import pytest

from csms import listening
from csms.listening import Listening
from storage.errors import EngineUnavailable


@dataclass
class Marks:
    """Of one node; the first calls fail in every way there is."""

    told: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def mark_listening(self, node_id: str, boot_id: str) -> None:
        self.calls += 1
        if self.calls == 1:
            raise EngineUnavailable("away")
        if self.calls == 2:
            raise RuntimeError("a bug")
        if self.calls == 3:
            await asyncio.Event().wait()
        self.told.append((node_id, boot_id))
        if len(self.told) == 2:
            self.enough.set()


async def test_it_goes_on_after_a_store_that_fails_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MARK_EVERY", listening.MARK_EVERY / 1000)
    marks, clock = Marks(), [100.0]
    listens = Listening(marks, "n1", "b1", lambda: clock[0])  # type: ignore[arg-type]
    clock[0] = 130.0
    assert listens.unmarked_s() == 30.0
    task = asyncio.create_task(listens.mark_for_ever())
    async with asyncio.timeout(10):
        await marks.enough.wait()
    task.cancel()
    assert marks.told == [("n1", "b1")] * 2
    assert marks.calls == 5
    clock[0] = 133.0
    assert listens.unmarked_s() == 3.0
