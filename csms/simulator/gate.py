"""A hung application: what it would say waits, while its socket answers pings."""

import asyncio


class Gate:
    """Open, or shut for a time."""

    def __init__(self) -> None:
        self._open: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def shut(self) -> bool:
        """Whether nothing gets through."""
        return self._open is not None

    def close(self, seconds: float) -> None:
        """Shut for so long; 0: for ever."""
        if self._open is None:
            self._open = asyncio.Event()
        if seconds:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.open)

    def open(self) -> None:
        """Everything that waited goes on."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._open:
            self._open.set()
            self._open = None

    async def passed(self) -> None:
        """Wait until it is open."""
        while self._open:
            await self._open.wait()
