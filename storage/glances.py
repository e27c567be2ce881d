"""What a step asks of one charger where its whole view would be too much: most steps look at two things."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from storage.capability import Declared
from storage.charger import Charger
from storage.twin import Lifecycle, OperationSection, SecuritySection


@dataclass(frozen=True, slots=True)
class Glance:
    """What may hold a command back at the last moment, and what an update may have changed."""

    lifecycle: Lifecycle
    operation: OperationSection | None = None
    security: SecuritySection | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How a charger is spoken to: what it told of itself, and what is declared of its model."""

    vendor: str
    model: str
    dialect: str | None = None
    version: str | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    """Its variables, as it told them last."""
    declared: Declared = Declared()  # noqa: RUF009 - frozen
    """By the profile of its model."""


class GlanceStore(Protocol):
    """Each raises NotFound for an unknown charger."""

    async def registered(self, charger_id: str) -> Charger:
        """As it is registered, without its twin."""

    async def glance(self, charger_id: str) -> Glance:
        """As of now."""

    async def manner(self, charger_id: str) -> Manner:
        """With what holds for its model now."""
