"""A seat that one process at a time holds, so that a second one stands by."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class HeldSeat(AbstractAsyncContextManager["HeldSeat"], Protocol):
    """Held until it is left, or until ``lost`` is set."""

    @property
    def lost(self) -> asyncio.Event:
        """Set as soon as somebody else may have it."""


class Seat(Protocol):
    """Where one process at a time sits."""

    async def take(self, taken: Callable[[str], None]) -> HeldSeat:
        """Wait until it is free; ``taken`` is told once who has it. Raises EngineUnavailable."""

    async def holder(self) -> str | None:
        """The machine that has it, or None. Raises EngineUnavailable."""
