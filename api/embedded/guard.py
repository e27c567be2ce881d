"""Runs one command and never lets it outlive the process that asked for it.

Started as ``python -I -S guard.py SPEC`` by ``process.py``, with nothing but the standard library.
Standard input is a pipe that only the owner holds open: when it ends, for whatever reason (the
owner stopped it, crashed, was killed with -9), the command is asked to stop and then made to. If
the guard itself is killed, Linux kills the command with it (PR_SET_PDEATHSIG); elsewhere the next
start on the same folder removes it.

Standard output gets one line, the command's process id. Standard error is the command's log.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LIFELINE = 0
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command of the spec in ``argv[1]``; its exit code, or 128 + the signal that ended it."""
    spec = json.loads(sys.argv[1])
    os.umask(0o077)
    wake = _signals_as_bytes()
    child = _launch(spec)
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.close()
    code = _watch(child, wake, signal.Signals(spec["stop_signal"]), spec["stop_seconds"])
    return code if code >= 0 else 128 - code


def _signals_as_bytes() -> int:
    """Every signal becomes a byte in a pipe, so that one ``select`` waits for all there is."""
    wake, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return wake


def _launch(spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    account = {"user": spec["uid"], "group": spec["gid"], "extra_groups": []} if "uid" in spec else {}
    return subprocess.Popen(  # noqa: S603  # the command is our owner's, not a stranger's
        spec["command"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=spec.get("cwd"),
        start_new_session=True,
        preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509  # this process has one thread
        **account,
    )


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """Runs after the switch of user, which would clear the wish again."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def wish() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return wish


def _watch(child: "subprocess.Popen[bytes]", wake: int, stop_signal: signal.Signals, limit: float) -> int:
    watched = [LIFELINE, wake]
    deadline: float | None = None
    while child.poll() is None:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(watched, [], [], timeout)
        if deadline is None and _told_to_stop(ready, wake):
            watched.remove(LIFELINE)
            child.send_signal(stop_signal)
            deadline = time.monotonic() + limit
        elif deadline is not None and not ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return child.wait()
        elif deadline is not None:
            os.read(wake, 512)
    return child.returncode


def _told_to_stop(ready: list[int], wake: int) -> bool:
    lifeline_ended = LIFELINE in ready and not os.read(LIFELINE, 512)
    signals = os.read(wake, 512) if wake in ready else b""
    return lifeline_ended or any(number != signal.SIGCHLD for number in signals)


if __name__ == "__main__":
    sys.exit(main())
