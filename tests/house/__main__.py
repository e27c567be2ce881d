"""``python -m tests.house``: all house rules. ``--write`` writes the generated pages anew."""

import sys
from pathlib import Path

from tests.house import (
    messages_page,
    quarantine_page,
    query_page,
    requirements_page,
    settings_page,
    twin_page,
)
from tests.house.checks import long_files, machine_traces, missing_readmes, tests_without_assertion
from tests.house.deploy import deploy_problems
from tests.house.messages_page import stale_messages
from tests.house.quarantine_page import stale_quarantine
from tests.house.query_page import stale_query_page
from tests.house.requirements_page import compact, unkept_requirements, unproven
from tests.house.settings_page import undocumented_settings
from tests.house.tree import Problem, Tree
from tests.house.twin_page import stale_twin_page

RULES = (
    long_files,
    machine_traces,
    tests_without_assertion,
    missing_readmes,
    undocumented_settings,
    stale_messages,
    stale_twin_page,
    stale_query_page,
    stale_quarantine,
    unkept_requirements,
    deploy_problems,
)


def write(tree: Tree) -> None:
    """Write the pages that are generated."""
    (tree.root / requirements_page.PAGE).write_text(requirements_page.written_page(tree))
    source = tree.text(settings_page.SOURCE) or ""
    (tree.root / settings_page.PAGE).write_text(settings_page.page(source))
    messages = tree.root / messages_page.PAGE
    messages.write_text(messages_page.written_page(messages.read_text()))
    (tree.root / twin_page.PAGE).parent.mkdir(exist_ok=True)
    (tree.root / twin_page.PAGE).write_text(twin_page.page())
    (tree.root / query_page.PAGE).write_text(query_page.page())
    life = tree.root / quarantine_page.PAGE
    life.write_text(quarantine_page.written_page(life.read_text()))


def main(arguments: list[str]) -> int:
    """0 if every rule is kept."""
    tree = Tree.of(Path.cwd())
    if arguments == ["--write"]:
        write(tree)
        return 0
    problems: list[Problem] = [problem for rule in RULES for problem in rule(tree)]
    for problem in problems:
        print(problem, file=sys.stderr)
    open_ones = unproven(tree)
    print(
        f"House: {len(RULES)} rules, {len(problems)} problems. "
        f"Requirements without a test: {len(open_ones)} ({compact(open_ones)})."
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
