"""What this node has sent on the strength of which directive: single use without the database (S24).

One entry per charger: the directive that was used last, when that was signed, and for which request. The
same one for another request is a replay, whatever the rows say; so is one that was signed before it, if it
is of the same campaign (forward again after a way back) or itself leads back. Entries are of no use once
every directive of their time has expired, so the file stays small.

It is this node's own memory: a charger that moves to another node is protected there by the database,
and by what the directive itself says (charger, image, window of a day at most, people's signatures).
"""

import asyncio
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from signing.errors import DirectiveSpent, LedgerUnwritable
from signing.roles import MAX_DIRECTIVE_WINDOW
from storage.campaign import Directive

KEPT = MAX_DIRECTIVE_WINDOW + timedelta(hours=1)
_COMPACT_AT = 10_000
"""Lines after which the file is written anew, with what still counts."""


@dataclass(frozen=True, slots=True)
class Use:
    """The last use of a directive on one charger."""

    campaign_id: str
    directive: str
    """Its id and nonce."""
    signed_for: datetime
    """The beginning of its window: later directives begin later."""
    request_id: int


class UseLedger:
    """The last directive used on each charger. ``file`` None: remembered as long as the process lives."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._uses: dict[str, Use] | None = None
        self._lines = 0
        self._lock = asyncio.Lock()

    async def use(self, directive: Directive, charger_id: str, request_id: int, now: datetime) -> None:
        """Write down that it is used now, before anything leaves; the same request may come again.

        Raises DirectiveSpent or LedgerUnwritable.
        """
        async with self._lock:
            try:
                uses = await self._remembered(now)
            except OSError as error:
                raise LedgerUnwritable(
                    f"What was used of directives cannot be read: {error.strerror}.",
                    hint="Nothing is sent meanwhile. Let this node read and write its data folder.",
                ) from error
            before = uses.get(charger_id)
            fresh = Use(directive.campaign_id, _name(directive), directive.not_before, request_id)
            if before == fresh:
                return
            if before is not None:
                _check(before, fresh, directive, charger_id)
            try:
                await asyncio.to_thread(self._write, charger_id, fresh, now)
            except OSError as error:
                self._lines = _COMPACT_AT  # It may have been cut short: the next one writes the file anew.
                raise LedgerUnwritable(
                    f"The use of a directive cannot be written down: {error.strerror}.",
                    hint="Nothing is sent meanwhile. Make room, or let this node write to its data folder.",
                ) from error
            uses[charger_id] = fresh

    async def _remembered(self, now: datetime) -> dict[str, Use]:
        if self._uses is None:
            self._uses = await asyncio.to_thread(_read, self._file, now)
        return self._uses

    def _write(self, charger_id: str, use: Use, now: datetime) -> None:
        if self._file is None:
            return
        if self._lines >= _COMPACT_AT:
            uses = self._uses or {}
            for name in [name for name, one in uses.items() if not _counts(one, now)]:
                del uses[name]
            _rewrite(self._file, {**uses, charger_id: use}, now)
            self._lines = 0
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(_line(charger_id, use))
            file.flush()
            os.fsync(file.fileno())
        self._lines += 1


def _check(before: Use, fresh: Use, directive: Directive, charger_id: str) -> None:
    if before.directive == fresh.directive:
        problem = f"was used for request {before.request_id} already"
    elif fresh.signed_for < before.signed_for and (
        fresh.campaign_id == before.campaign_id or directive.downgrade
    ):
        problem = "was signed before the one that was used last"
    else:
        return
    raise DirectiveSpent(
        f"Directive {directive.directive_id} {problem} on {charger_id}, says this node's own memory.",
        hint="The campaign has the next one signed. If the database does not know of that use, ask why.",
    )


def _name(directive: Directive) -> str:
    return f"{directive.directive_id}/{directive.nonce}"


def _line(charger_id: str, use: Use) -> str:
    fields = (charger_id, use.campaign_id, use.directive, use.signed_for.isoformat(), use.request_id)
    return json.dumps(fields) + "\n"


def _read(file: Path | None, now: datetime) -> dict[str, Use]:
    """What still counts. A line that a crash cut short is of a use that never became a command."""
    if file is None or not file.exists():
        return {}
    uses: dict[str, Use] = {}
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        try:
            charger_id, campaign_id, name, signed_for, request_id = json.loads(line)
            signed_at = datetime.fromisoformat(signed_for).astimezone(UTC)
            uses[charger_id] = Use(campaign_id, name, signed_at, request_id)
        except (ValueError, TypeError):
            continue
    if lines:
        _rewrite(file, uses, now)
    return {name: use for name, use in uses.items() if _counts(use, now)}


def _rewrite(file: Path, uses: dict[str, Use], now: datetime) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as target:
        target.writelines(_line(name, use) for name, use in uses.items() if _counts(use, now))
        target.flush()
        os.fsync(target.fileno())
    draft.replace(file)


def _counts(use: Use, now: datetime) -> bool:
    return now - use.signed_for < KEPT
