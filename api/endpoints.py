"""The doors of this deployment, as a file names them: where chargers of which profile connect (F54, F57)."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.settings import Settings
from storage.connection import Endpoint
from storage.errors import InvalidInput, NotFound

MAIN = "main"
_MOST_CHARS = 512
"""OCPP 2.0.1 NetworkConnectionProfileType, ocppCsmsUrl."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_HINT = 'As in {"main": {"ws": "ws://csms.example:9000/ocpp", "wss": "wss://csms.example:9443/ocpp"}}.'
_Text = Annotated[str, Field(min_length=1, max_length=_MOST_CHARS)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ws: _Text | None = None
    wss: _Text | None = None
    apn: Annotated[str, Field(max_length=_MOST_CHARS)] = ""
    vpn: Annotated[str, Field(max_length=200)] = ""


_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,39}$")]
_FILE = TypeAdapter(dict[_Name, _Entry])


def read_endpoints(settings: Settings) -> tuple[Endpoint, ...]:
    """Those of the file; without one, this machine's own, for chargers on it. Raises InvalidInput."""
    path = settings.csms_endpoints_file
    if path is None:
        return _own(settings)
    try:
        entries = _FILE.validate_python(json.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as endpoints: {error}", hint=_HINT) from None
    except ValidationError as error:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise InvalidInput(f"{path} is no list of endpoints.", found, hint=_HINT) from None
    if problems := [problem for name, entry in entries.items() for problem in _problems(name, entry)]:
        raise InvalidInput(f"{path} is no list of endpoints.", problems, hint=_HINT)
    return tuple(
        Endpoint(name, _plain(one.ws), _plain(one.wss), one.apn, one.vpn) for name, one in entries.items()
    )


def _own(settings: Settings) -> tuple[Endpoint, ...]:
    if settings.bind_host not in _LOOPBACK:
        return ()
    host = f"[{settings.bind_host}]" if ":" in settings.bind_host else settings.bind_host
    return (
        Endpoint(
            MAIN, f"ws://{host}:{settings.csms_port}/ocpp", f"wss://{host}:{settings.csms_tls_port}/ocpp"
        ),
    )


def _plain(url: str | None) -> str | None:
    return url.rstrip("/") if url else None


def _problems(name: str, entry: _Entry) -> Iterator[str]:
    if entry.ws is None and entry.wss is None:
        yield f"{name}: neither ws nor wss says where it is"
    for scheme, url in (("ws", entry.ws), ("wss", entry.wss)):
        if url is not None and (problem := _address_problem(scheme, url)):
            yield f"{name}.{scheme}: {problem}"


def _address_problem(scheme: str, url: str) -> str | None:
    try:
        parts = urlsplit(url)
        if parts.scheme != scheme or not parts.hostname or parts.port == 0:
            return f"must be an address that begins with {scheme}://"
    except ValueError:
        return "is no address"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "an address with a user, a password or a query is a secret, and no door"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "has characters that no address has"
    return None


def endpoint(endpoints: Sequence[Endpoint], name: str) -> Endpoint:
    """Raises NotFound."""
    for each in endpoints:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in endpoints)
    hint = f"There are {names}." if names else "AMPWAVE_CSMS_ENDPOINTS_FILE names where chargers connect."
    raise NotFound("endpoint", name, hint=hint)
