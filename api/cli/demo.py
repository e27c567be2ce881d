"""``ampwave demo``."""

from pathlib import Path


def run_demo(chargers: int, keep: bool, report: Path | None, seed: int) -> int:
    """Run the demo; 0 only if every promise held."""
    from api.demo.run import DemoOptions, run_demo

    return run_demo(DemoOptions(chargers, keep, report, seed))
