"""deploy/SETTINGS.md: every setting with its default and meaning, taken from api/settings.py."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.house.tree import Problem, Tree

SOURCE = "api/settings.py"
PAGE = "deploy/SETTINGS.md"
HEAD = """# Settings

Written by `make requirements` from `api/settings.py`; do not edit. Settings come from the environment
or from a file `.env` in the working directory. Where the table says so, the variable with `_FILE`
behind its name names a file to read the secret from, as containers mount them.

| variable | default | meaning |
|---|---|---|
"""


@dataclass(frozen=True)
class Setting:
    """One field of the settings class."""

    name: str
    default: str
    meaning: str
    line: int

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"AMPWAVE_{self.name.upper()}"


def settings_of(source: str) -> list[Setting]:
    """The fields of ``Settings`` with the docstrings below them."""
    module = ast.parse(source)
    body = next(
        node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    found = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            default = _default(node.value)
            found.append(Setting(node.target.id, default, _docstring(after), node.lineno))
    return found


def _default(value: ast.expr | None) -> str:
    match value:
        case None:
            return "required"
        case ast.Constant(value=None) | ast.Tuple(elts=[]):
            return "unset"
        case ast.Constant(value=bool(flag)):
            return str(flag).lower()
        case ast.Constant(value=str(word)):
            return f"`{word}`"
        case ast.Call(func=ast.Name(id="Path"), args=[path]):
            return _default(path)
        case _:
            return f"`{ast.unparse(value)}`"


def _docstring(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
    return ""


def page(source: str) -> str:
    """The whole page."""
    rows = [f"| `{s.variable}` | {s.default} | {s.meaning.replace('|', '/')} |" for s in settings_of(source)]
    return HEAD + "\n".join(rows) + "\n"


def undocumented_settings(tree: Tree) -> Iterator[Problem]:
    """Every setting has a sentence, and the page says what the code says."""
    source = tree.text(SOURCE) or ""
    for setting in settings_of(source):
        if not setting.meaning:
            yield Problem(SOURCE, setting.line, f"{setting.variable} has no docstring below it")
    current = tree.text(PAGE) if PAGE in tree.paths else None
    if current != page(source):
        yield Problem(PAGE, 1, "does not say what api/settings.py says; run 'make requirements'")
