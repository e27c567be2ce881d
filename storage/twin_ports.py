"""What is asked of the engine about twins beyond ``ports``, which is long enough."""

from collections.abc import Sequence
from typing import Protocol

from storage.desired import Answers, DesiredChange, DesiredSection


class DesiredStore(Protocol):
    """The desired side of twins."""

    async def desired(self, charger_id: str) -> Sequence[DesiredSection]:
        """Every section that has a desired side, by name; raise NotFound for an unknown charger."""

    async def set_desired(self, change: DesiredChange) -> DesiredSection:
        """The section with its new version; what changes nothing keeps the old one.

        Raises NotFound, StaleVersion (somebody else wrote first), InvalidInput (outside the schema),
        SectionTooLarge.
        """

    async def answer(self, given: Answers) -> DesiredSection:
        """Note what a charger said; answers to values that are no longer desired so are dropped."""


class TwinStore(DesiredStore, Protocol):
    """Everything about twins beyond the view of a charger."""
