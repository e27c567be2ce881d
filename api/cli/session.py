"""What every client command is given: the api, a screen, and its three global options.

``@command(app, "list")`` adds ``--json``, ``--url`` and, where something is posted,
``--idempotency-key`` to a function, hands it a ``Session``, and turns errors into exit codes.
"""

import functools
import inspect
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NoReturn, ParamSpec

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Screen, clean
from storage.clock import Clock, system_clock
from storage.errors import AmpwaveError

if TYPE_CHECKING:
    from api.cli.http import Api

P = ParamSpec("P")
Draw = Callable[[Screen], None]

_JSON = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, nothing else.")]
_URL = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Address of the api. [default: AMPWAVE_PUBLIC_URL or this machine]"
    ),
]
_KEY = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="Repeat a request that may have been carried out."),
]


@dataclass
class Session:
    """One run of one command."""

    json: bool = False
    url: str | None = None
    idempotency_key: str | None = None
    clock: Clock = system_clock
    screen: Screen = field(default_factory=Screen)

    @cached_property
    def public_api(self) -> "Api":
        """The api without a token, for what everybody may read."""
        from api.cli.credentials import base_url
        from api.cli.http import Api

        return Api(base_url(self.url), "")

    @cached_property
    def api(self) -> "Api":
        """The api, with address and token found out when first needed."""
        from api.cli.credentials import base_url, bearer_token, is_loopback
        from api.cli.http import Api

        url = base_url(self.url)
        if url.startswith("http:") and not is_loopback(url):
            self.note(f"Warning: {url} is not encrypted, so your token can be read on the way.")
        token, source = bearer_token(url)
        return Api(url, token, token_source=source, idempotency_key=self.idempotency_key)

    def show(self, data: Any, draw: Draw) -> None:
        """The answer: the data itself as JSON, or drawn for people."""
        if not self.json:
            draw(self.screen)
            return
        key = self.api.idempotency_key if "api" in self.__dict__ else None
        if key is not None and isinstance(data, dict):
            data = {**data, "idempotency_key": key}
        self.write_json(data, indent=2)

    def write_json(self, data: Any, *, indent: int | None = None) -> None:
        """One JSON document on standard output."""
        self.screen.stream.write(json.dumps(data, indent=indent, ensure_ascii=False) + "\n")
        self.screen.stream.flush()

    def note(self, text: str) -> None:
        """A remark on standard error, so that it never mixes with the answer."""
        sys.stderr.write(clean(text, keep_newlines=True) + "\n")
        sys.stderr.flush()

    def pause(self, seconds: float) -> None:
        """Wait between two looks."""
        time.sleep(seconds)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be taken back; ``yes`` answers in advance.

        Raises:
            WrongUse: nobody is there to ask.
            CliError: the answer was no.
        """
        if yes:
            return
        if self.json or not _somebody_is_there():
            raise WrongUse(
                "This needs a yes, and nobody is there to ask.",
                hint="Add --yes to go ahead without being asked.",
            )
        if not typer.confirm(clean(question), err=True):
            raise CliError("Nothing was changed.")


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


def group(summary: str) -> typer.Typer:
    """A group of commands, plain so that help stays fast; a group also with a single command."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=True, help=summary)
    app.callback()(lambda: None)
    return app


def command(
    app: typer.Typer, name: str, *, online: bool = True, posts: bool = False, **settings: Any
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function as a command; its first parameter is the Session and no option.

    ``settings`` go to typer.
    """
    options: dict[str, Any] = {"as_json": _JSON}
    defaults: dict[str, Any] = {"as_json": False, "url": None, "idempotency_key": None}
    if online:
        options["url"] = _URL
    if posts:
        options["idempotency_key"] = _KEY

    def register(
        function: Callable[Concatenate[Session, P], None],
    ) -> Callable[Concatenate[Session, P], None]:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            session_options = {option: given.pop(option) for option in options}
            as_json = session_options.pop("as_json")
            session = Session(json=as_json, **session_options)
            try:
                function(session, **given)  # type: ignore[call-arg]  # typer calls with the names it inspected
            except AmpwaveError as error:
                fail(error, as_json=as_json)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(
                option, inspect.Parameter.KEYWORD_ONLY, default=defaults[option], annotation=annotation
            )
            for option, annotation in options.items()
        ]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*parameters, *added]}
        if any(each.name == name for each in app.registered_commands):
            raise RuntimeError(f"There are two commands {name!r} in one group; nobody could reach the first.")
        app.command(name, **settings)(run)
        return function

    return register


def fail(error: AmpwaveError, *, as_json: bool) -> NoReturn:
    """Say on standard error what went wrong and what to do, and end with the error's exit code."""
    exit_code = error.exit_code if isinstance(error, CliError) else 1
    if as_json:
        document = (
            error.document() if isinstance(error, CliError) else {"title": error.message, "hint": error.hint}
        )
        text = json.dumps({**document, "exit_code": exit_code}, ensure_ascii=False)
    else:
        text = _for_people(error)
    sys.stderr.write(text + "\n")
    raise typer.Exit(exit_code)


def _for_people(error: AmpwaveError) -> str:
    problems = getattr(error, "problems", ())
    detail = getattr(error, "detail", "")
    lines = [f"Error: {error.message}", *([detail] if detail else [])]
    lines += [f"    {line}" for line in getattr(error, "pointer", ())]
    lines += [f"  - {problem}" for problem in problems]
    lines += error.hint.splitlines()
    return "\n".join(clean(line) for line in lines)
