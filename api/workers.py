"""What a Temporal worker is given: every activity that an object defines."""

from collections.abc import Callable
from typing import Any


def activities_of(*holders: object) -> list[Callable[..., Any]]:
    """The bound methods of these objects that are marked with ``@activity.defn``."""
    return [
        getattr(holder, name)
        for holder in holders
        for name, member in vars(type(holder)).items()
        if hasattr(member, "__temporal_activity_definition")
    ]
