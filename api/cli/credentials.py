"""Which api to talk to and with which token, from the command line, the environment and files."""

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from api.cli.errors import NoToken, WrongUse

if TYPE_CHECKING:
    from api.settings import Settings

TOKEN_VARIABLE = "AMPWAVE_TOKEN"  # noqa: S105 - the variable's name, not a token


def load_settings() -> "Settings":
    """The settings of this machine; pydantic is imported here and not before."""
    from pydantic import ValidationError

    from api.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"AMPWAVE_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise WrongUse(
            "The settings do not hold.", problems, hint="`ampwave config check` explains them."
        ) from error
    except ValueError as error:  # a file with a secret that cannot be read
        raise WrongUse(f"The settings do not hold: {error}.") from error


def base_url(given: str | None) -> str:
    """The api's address: ``--url``, else AMPWAVE_PUBLIC_URL, else what ``up`` serves on this machine."""
    url = given or os.environ.get("AMPWAVE_PUBLIC_URL") or load_settings().base_url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongUse(f"{url!r} is not the address of an api.", hint="Write it as in http://127.0.0.1:8080.")
    return url.rstrip("/")


def bearer_token(url: str) -> tuple[str, str]:
    """The caller's token and whence it came: a named file, the environment, or what ``up`` left here.

    The last belongs to this machine's administrator, so it is never sent to another one.
    """
    settings = load_settings()
    if settings.api_token_file is not None:
        return _read(settings.api_token_file), f"the file {settings.api_token_file}"
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token, f"the variable {TOKEN_VARIABLE}"
    local = settings.token_path
    if local.is_file() and (is_loopback(url) or url == settings.base_url):
        return _read(local), f"the file {local}"
    raise NoToken(
        f"There is no token for {url}.",
        hint="Set AMPWAVE_TOKEN, or AMPWAVE_API_TOKEN_FILE to a file that holds it.\n"
        f"`ampwave up` writes this machine's own to {local}; "
        "elsewhere an administrator makes one with `ampwave token create`.",
    )


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise NoToken(
            f"The token file {path} cannot be read: {error.strerror}.",
            hint="Check AMPWAVE_API_TOKEN_FILE and the file's owner.",
        ) from error
    if not token:
        raise NoToken(f"The token file {path} is empty.", hint="Put the token into it, on one line.")
    return token
