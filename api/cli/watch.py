"""Following a campaign until it ends: a live view on a terminal, one line per change elsewhere."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import typer

from api.cli import campaign_views as views
from api.cli.errors import Record, Unreachable
from api.cli.output import clean, share, styled, words
from api.cli.session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

ENDED = frozenset({"completed", "aborted", "rolled_back", "failed"})
PATIENCE = timedelta(seconds=60)
"""How long the api may be away, as in a restart, before watching gives up."""
EXIT_INTERRUPTED = 130
_SHOWN_DECISIONS = 5
_SHORTEST_BAR, _LONGEST_BAR = 8, 40
_BESIDE_BARS = 60
"""Columns that a wave's numbers take."""


class View(Protocol):
    """Something that shows one look after the other."""

    def update(self, before: Record | None, now: Record) -> None:
        """Show a look that differs from the one before it."""

    def close(self) -> None:
        """Nothing more will come; may be called twice."""


def follow(session: Session, path: str, interval: float) -> Record:
    """Look again and again until the campaign has ended; returns the last look.

    Raises:
        Unreachable: the api was away for longer than PATIENCE.
    """
    view = _view_for(session)
    before: Record | None = None
    try:
        for look in _looks(session, path, interval):
            if look != before:
                view.update(before, look)
            before = look
            if look["phase"] in ENDED:
                return look
    except KeyboardInterrupt:
        view.close()
        session.note("Stopped watching; the campaign goes on.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        view.close()
    raise AssertionError("looking does not end by itself")


def _looks(session: Session, path: str, interval: float) -> Iterator[Record]:
    away_since: datetime | None = None
    while True:
        try:
            found = session.api.get(path)
            decisions = session.api.get(f"{path}/decisions")["items"]
        except Unreachable as error:
            if away_since is None:
                session.note(f"{error.message} Still trying.")
            away_since = away_since or session.clock()
            if session.clock() - away_since > PATIENCE:
                raise
        else:
            away_since = None
            yield {**found, "decisions": decisions}
        session.pause(interval)


def changes(before: Record | None, now: Record) -> list[str]:
    """What is new since the look before, one sentence each."""
    lines = []
    if before is None or (before["phase"], before["reason"]) != (now["phase"], now["reason"]):
        lines.append(words(now["phase"]) + (f": {now['reason']}" if now["reason"] else ""))
    old_approvals = len(before["approvals"]) if before else 0
    lines += [f"approved by {one['actor']}" for one in now["approvals"][old_approvals:]]
    old_waves = {one["wave"]: one for one in before["waves"]} if before else {}
    lines += [_wave_line(one) for one in now["waves"] if one != old_waves.get(one["wave"]) and _begun(one)]
    old_decisions = len(before["decisions"]) if before else 0
    lines += [decision_line(one, now) for one in now["decisions"][old_decisions:]]
    return lines


def decision_line(decision: Record, campaign: Record) -> str:
    """A verdict in one line."""
    wave = views.gate_name(decision, campaign)
    kind = "gate" if decision["kind"] == "rollback" else decision["kind"]  # the wave's name says it
    return f"{kind} of {wave}: {words(decision['verdict'])}. {decision['reason']}"


def _begun(tally: Record) -> bool:
    return set(tally["by_phase"]) != {"pending"} or bool(tally["by_outcome"])


def _wave_line(tally: Record) -> str:
    counts = [
        f"{count} {words(word)}" for word, count in {**tally["by_phase"], **tally["by_outcome"]}.items()
    ]
    shown = [text for text in counts if not text.endswith(" done") and not text.startswith("0 ")]
    done = sum(tally["by_outcome"].values())
    return f"{views.wave_name(tally)}: {done}/{tally['total']} done ({', '.join(shown) or 'nothing yet'})"


def _view_for(session: Session) -> View:
    if session.json:
        return _JsonView(session)
    return _LiveView(session) if session.screen.stream.isatty() else _LineView(session)


class _JsonView:
    """One JSON document a line and change."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def update(self, before: Record | None, now: Record) -> None:
        self._session.write_json({**now, "changes": changes(before, now)})

    def close(self) -> None:
        """Nothing to close."""


class _LineView:
    """One line a change, for logs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def update(self, before: Record | None, now: Record) -> None:
        for line in changes(before, now):
            self._session.screen.line(f"{self._session.clock():%H:%M:%S} {line}")
        self._session.screen.stream.flush()

    def close(self) -> None:
        """Nothing to close."""


class _LiveView:
    """The whole campaign, redrawn in place."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live: Live | None = None

    def update(self, before: Record | None, now: Record) -> None:  # noqa: ARG002 - a View's signature
        picture = render(now, self._session.screen.width)
        if self._live is None:
            from rich.live import Live

            self._live = Live(picture, console=self._session.screen.console(), auto_refresh=False)
            self._live.start()
        self._live.update(picture, refresh=True)

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def render(campaign: Record, width: int) -> "RenderableType":
    """The picture of one look: state, a bar per wave, the latest verdicts."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble((clean(views.name(campaign)), "bold"), "  ", styled(words(campaign["phase"])))
    reason = [Text(clean(campaign["reason"]))] if campaign["reason"] else []
    verdicts = [
        Text(clean(decision_line(one, campaign))) for one in campaign["decisions"][-_SHOWN_DECISIONS:]
    ]
    return Group(head, *reason, Text(), _wave_table(campaign["waves"], width), Text(), *verdicts)


def _wave_table(tallies: Sequence[Record], width: int) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    longest = max((len(views.wave_name(one)) for one in tallies), default=0)
    room = min(_LONGEST_BAR, width - longest - _BESIDE_BARS)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("WAVE", "", "DONE", "UPDATED", "FAILED", "DEFERRED", "IN FLIGHT"):
        table.add_column(title, justify="left" if title in ("WAVE", "") else "right", no_wrap=True)
    for tally in tallies:
        name, done, updated, failed, deferred, _waiting, in_flight, _other = views.wave_row(tally)
        total, finished = tally["total"], sum(tally["by_outcome"].values())
        bar = ProgressBar(max(total, 1), finished, room, complete_style="cyan", finished_style="green")
        progress = f"{done} {share(finished, total):>5}"
        table.add_row(
            clean(name), bar if room >= _SHORTEST_BAR else "", progress, updated, failed, deferred, in_flight
        )
    return table
