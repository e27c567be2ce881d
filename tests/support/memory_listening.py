"""Nodes of a played world that listen, or do not, and have it on record."""

from datetime import datetime

from storage.listening import Listened, Span
from tests.unit.activities.world import World


class Nodes:
    """All of them together."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._first = world.now
        self._spans: list[Span] = []
        self._since: datetime | None = world.now
        self.looks = 0
        """So often somebody asked since when they listen."""
        world.routes.heard = self._listened

    def _listened(self) -> Listened:
        self.looks += 1
        now = self._world.now
        lasting = [] if self._since is None else [Span(self._since, now)]
        return Listened(now, self._first, (*self._spans, *lasting))

    def fall(self, *chargers: str) -> None:
        """Nobody listens any more, and these lose their connections."""
        assert self._since is not None
        self._spans.append(Span(self._since, self._world.now))
        self._since = None
        for name in chargers:
            self._world.unplug(name)

    def rise(self) -> None:
        """Somebody listens again."""
        self._since = self._world.now
