"""What the signer refused goes into the audit log (S64): each one, and of a flood the first and a count."""

from dataclasses import dataclass, field

from activities.stores import Stores
from signing.errors import SigningError, TooHasty
from signing.pace import Pace

_PER_MINUTE = 20
_SIGNER = "signer"


@dataclass(slots=True)
class Refusals:
    """A thousand requests must not become a thousand rows that hide everything else."""

    stores: Stores
    _pace: Pace = field(init=False)
    _unsaid: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(_PER_MINUTE, self.stores.clock)

    async def record(self, asked: str, subject: str, error: SigningError) -> None:
        """Write it down, with how many before it were only counted."""
        try:
            self._pace.take("Refusals are written down")
        except TooHasty:
            self._unsaid += 1
            return
        counted, self._unsaid = self._unsaid, 0
        await self.stores.record(
            _SIGNER,
            "signer.refused",
            subject,
            asked=asked,
            kind=type(error).__name__,
            reason=error.message,
            **({"not_written_before": counted} if counted else {}),
        )

    async def flush(self) -> None:
        """Write down how many were only counted, if any."""
        counted, self._unsaid = self._unsaid, 0
        if counted:
            await self.stores.record(
                _SIGNER, "signer.refused", _SIGNER, asked="many", reason=f"{counted} more requests in a flood"
            )
