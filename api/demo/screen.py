"""What a spectator sees: the stages in words, each campaign's waves as they move, the fleet's versions.

On a terminal it is redrawn in place; elsewhere every change is a line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from storage.campaign import Outcome

Record = Mapping[str, Any]

_BAR = 24
_PARTS = (
    ("updated", "green", (Outcome.UPDATED.value, Outcome.ALREADY_CURRENT.value)),
    ("failed", "red", (Outcome.FAILED.value, Outcome.SILENT.value)),
    *((word.value, "blue", (word.value,)) for word in (Outcome.CANCELLED, Outcome.SKIPPED, Outcome.DEFERRED)),
)


@dataclass(slots=True)
class Stage:
    """One stage of the story."""

    title: str
    seconds: float | None = None
    note: str = ""


@dataclass(slots=True)
class Screen:
    """Shows the story. Called from one thread."""

    console: Console
    links: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    campaign: Record | None = None
    fleet: Record | None = None
    _live: Live | None = None
    _said: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(self._draw(), console=self.console, refresh_per_second=6)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self.campaign = None
            self._live.update(self._draw())
            self._live.__exit__(None, None, None)
            self._live = None

    def begin(self, title: str) -> None:
        """A stage begins."""
        self.stages.append(Stage(title))
        self._refresh(f"… {title}")

    def end(self, seconds: float, note: str = "") -> None:
        """The latest stage is done."""
        stage = self.stages[-1]
        stage.seconds, stage.note = seconds, note
        self._refresh(f"✓ {stage.title} ({seconds:.1f} s){': ' + note if note else ''}")

    def link(self, name: str, url: str) -> None:
        """Somewhere to look while it runs."""
        self.links[name] = url
        self._refresh(f"  {name}: {url}")

    def show(self, campaign: Record, fleet: Record) -> None:
        """The campaign and the fleet as they are now."""
        self.campaign, self.fleet = campaign, fleet
        if self._live:
            self._live.update(self._draw())
            return
        for wave in campaign["waves"]:
            self._say_once(f"wave {wave['wave']}", _wave_words(wave))
        for decision in campaign["decisions"]:
            key = f"decision {decision['wave']}/{decision['look']}"
            self._say_once(key, f"gate: {decision['verdict']}. {decision['reason']}")
        self._say_once("phase", f"campaign {campaign['phase']}: {campaign['reason']}")

    def _say_once(self, key: str, text: str) -> None:
        key = f"{self.campaign['campaign_id'] if self.campaign else ''}/{key}"
        if self._said.get(key) != text:
            self._said[key] = text
            self.console.print(f"    {text}", highlight=False, soft_wrap=True)

    def _refresh(self, line: str) -> None:
        if self._live:
            self._live.update(self._draw())
        else:
            self.console.print(line, highlight=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [_stage_line(stage) for stage in self.stages]
        if self.campaign:
            parts += [Text(), _waves(self.campaign), *_verdicts(self.campaign)]
        if self.fleet:
            parts += [Text(), _fleet_line(self.fleet)]
        if self.links:
            parts += [
                Text(),
                Text("   ".join(f"{name} {url}" for name, url in self.links.items()), style="dim"),
            ]
        return Group(*parts)


def _stage_line(stage: Stage) -> Text:
    if stage.seconds is None:
        return Text(f"… {stage.title}", style="bold")
    line = Text(f"✓ {stage.title}", style="green").append(f"  {stage.seconds:.1f} s", style="dim")
    return line.append(f"  {stage.note}", style="default") if stage.note else line


def _waves(campaign: Record) -> Table:
    table = Table.grid(padding=(0, 2))
    for wave in campaign["waves"]:
        table.add_row(Text(wave["name"], style="bold"), _bar(wave), Text(_wave_counts(wave)))
    return table


def _bar(wave: Record) -> Text:
    total = max(wave["total"], 1)
    bar = Text()
    for _, colour, outcomes in _PARTS:
        count = sum(wave["by_outcome"].get(outcome, 0) for outcome in outcomes)
        bar.append("█" * round(_BAR * count / total), style=colour)
    return bar.append("░" * max(_BAR - len(bar), 0), style="dim")


def _wave_counts(wave: Record) -> str:
    counts = {
        name: sum(wave["by_outcome"].get(outcome, 0) for outcome in outcomes) for name, _, outcomes in _PARTS
    }
    counts |= {name: count for name, count in wave["by_phase"].items() if name not in ("done", "pending")}
    words = [f"{count} {name}" for name, count in counts.items() if count]
    return f"{', '.join(words) or 'not started'} of {wave['total']}"


def _wave_words(wave: Record) -> str:
    deferred = wave["deferred_for_session"]
    waited = f"; {deferred} had to wait because a car was charging" if deferred else ""
    return f"{wave['name']}: {_wave_counts(wave)}{waited}"


def _verdicts(campaign: Record) -> list[Text]:
    colours = {"proceed": "green", "hold": "yellow", "abort": "red"}
    return [
        Text("gate ", style="bold")
        .append(decision["verdict"], style=colours[decision["verdict"]])
        .append(f"  {decision['reason']}")
        for decision in campaign["decisions"][-3:]
    ]


def _fleet_line(fleet: Record) -> Text:
    versions = ", ".join(f"{count} on {version}" for version, count in sorted(fleet["by_version"].items()))
    return Text(
        f"fleet: {versions}; {fleet['online']} online, {fleet['charging']} charging, "
        f"{fleet['faulted']} faulted, {fleet['in_maintenance']} in maintenance"
    )
