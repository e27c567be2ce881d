"""Writing the ledger to a file that a reader always finds whole."""

import asyncio
import time
from pathlib import Path

import orjson

from csms.simulator.concurrency import wait_for_event
from csms.simulator.ledger import Ledger

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_INDENT_2
_SHARE = 0.02
"""Of the processor that writing may take: the account of thousands is megabytes. Waiting for a slow
disk costs the chargers nothing, so it does not count: once it did, and one slow write of half a second
left the report half a minute old."""


def write_report(ledger: Ledger, path: Path, *, final: bool) -> None:
    """Replace the report atomically."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(orjson.dumps(ledger.as_json(final=final), option=_OPTIONS))
    fresh.replace(path)


async def keep_report(ledger: Ledger, path: Path, stop: asyncio.Event, every_s: float) -> None:
    """Rewrite the report every few seconds until ``stop``, then once more as final by the caller."""
    while not stop.is_set():
        began = time.thread_time()
        write_report(ledger, path, final=False)
        took_s = time.thread_time() - began
        await wait_for_event(stop, max(every_s, took_s / _SHARE))
