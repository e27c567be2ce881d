"""The closing report, on the screen and in a file."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api.demo.report import LIMITS, CampaignLine, Report
from api.demo.story import Ended

_PROMISES = {
    "sessions_cut": "charging sessions cut",
    "unsigned_sends": "unsigned or badly signed updates that reached a charger",
    "sites_dark": "sites that went dark",
    "unattested_successes": "successes without a charger that ran the version",
    "lost_events": "acknowledged messages missing from the journal",
}


def write_report(path: Path, report: Report) -> None:
    """The report as JSON (DESIGN section 12)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")


def print_report(console: Console, report: Report, ended: Ended) -> None:
    """The report for people."""
    console.print()
    for campaign in report.campaigns:
        _print_campaign(console, campaign)
    _print_deferred(console, ended)
    _print_promises(console, report)
    cost = report.cost
    console.print(
        f"Temporal, per charger that met no obstacle: {cost.actions_per_charger:.1f} Actions "
        f"(budget {LIMITS.actions_per_charger:g}), {cost.events_per_charger:.1f} history events "
        f"({LIMITS.events_per_charger:g}), {cost.bytes_per_charger / 1000:.1f} kB.",
        highlight=False,
    )
    again = report.recomputed
    console.print(
        f"Verdicts: {again.verdicts - again.differing} of {again.verdicts} came to the same bytes in another "
        "process without settings or database (ampwave campaign verify-verdict --file).",
        highlight=False,
        soft_wrap=True,
    )
    failures = report.failures()
    if failures:
        console.print(f"\n[bold red]Not every promise held[/] after {report.seconds:.0f} s:")
        for failure in failures:
            console.print(f"  - {failure}", highlight=False)
    else:
        console.print(f"\n[bold green]Every promise held.[/] {report.seconds:.0f} s in all.", highlight=False)


def _print_campaign(console: Console, campaign: CampaignLine) -> None:
    words = campaign.outcome.replace("_", " ")
    tail = f", {campaign.rolled_back} taken back, {campaign.harmed} reached by it" if campaign.harmed else ""
    console.print(f"[bold]Release {campaign.artifact}: {words}[/]{tail}", highlight=False)
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for heading in ("wave", "gate", "updated", "failed", "waited for a car"):
        table.add_column(heading, justify="left" if heading in ("wave", "gate") else "right")
    for wave in campaign.waves:
        table.add_row(wave.name, wave.verdict, str(wave.updated), str(wave.failed), str(wave.deferred))
    console.print(table)
    for wave in campaign.waves:
        if wave.verdict not in ("proceed", "none"):
            console.print(f"  {wave.name}: {wave.reason}", highlight=False, soft_wrap=True)
    console.print()


def _print_deferred(console: Console, ended: Ended) -> None:
    waited = sorted({one["charger_id"] for one in ended.good_targets if one["deferred_for_session"]})
    if waited:
        shown = ", ".join(waited[:12]) + (f" and {len(waited) - 12} more" if len(waited) > 12 else "")
        console.print(f"Had to wait because a car was charging: {shown}.\n", highlight=False)


def _print_promises(console: Console, report: Report) -> None:
    for name, count in asdict(report.promises).items():
        mark, style = ("✓", "green") if count == 0 else ("✗", "red")
        console.print(f"[{style}]{mark} {count}[/] {_PROMISES[name]}", highlight=False)
    console.print()
