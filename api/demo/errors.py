"""What ends a demo early.

DemoFailed    something that was waited for did not come; carries the last thing seen
"""

from typing import Any

from storage.errors import AmpwaveError


class DemoFailed(AmpwaveError):
    """Something that was waited for did not come."""

    def __init__(self, message: str, last_seen: dict[str, Any]) -> None:
        shown = {key: last_seen[key] for key in list(last_seen)[:12] if key not in ("plan", "decisions")}
        super().__init__(message, hint=f"Last seen: {shown}")
