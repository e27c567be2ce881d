"""deploy/ is linted offline: hadolint for the image, the compose schema for the services."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import Problem, Tree

DOCKERFILE = "deploy/Dockerfile"
COMPOSE = "deploy/compose.yaml"


def deploy_problems(tree: Tree) -> Iterator[Problem]:
    """What the linters say, a line each."""
    scripts = Path(sys.executable).parent
    commands = {
        DOCKERFILE: [str(scripts / "hadolint"), "--no-color", DOCKERFILE],
        COMPOSE: [
            *(str(scripts / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"),
            *("--color", "never", COMPOSE),
        ],
    }
    for path in commands.keys() - set(tree.paths):
        yield Problem(path, 1, "is missing")
    running = {
        path: subprocess.Popen(
            command, cwd=tree.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for path, command in commands.items()
        if path in tree.paths
    }
    for path, linter in running.items():
        said, _ = linter.communicate()
        if linter.returncode:
            yield from (Problem(path, 1, line) for line in said.splitlines() if line.strip())
