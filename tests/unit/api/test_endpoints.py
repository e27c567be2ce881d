"""The file that says where chargers connect: every problem with its name, and no secret in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.endpoints import endpoint, read_endpoints
from api.settings import Settings
from storage.connection import Endpoint
from storage.errors import InvalidInput, NotFound

GOOD = {
    "main": {"ws": "ws://csms.example:9000/ocpp/", "wss": "wss://csms.example:9443/ocpp"},
    "depot-apn": {"wss": "wss://10.20.0.5:9443/ocpp", "apn": "depot.iot", "vpn": "tunnel 4"},
}


def settings(path: Path | None, **more: Any) -> Settings:
    return Settings(_env_file=None, csms_endpoints_file=path, **more)  # type: ignore[call-arg]


def read(tmp_path: Path, value: Any) -> tuple[Endpoint, ...]:
    path = tmp_path / "endpoints.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return read_endpoints(settings(path))


@pytest.mark.requirement("F57")
def test_doors_and_private_networks_are_read(tmp_path: Path) -> None:
    main, depot = read(tmp_path, GOOD)
    assert main.door(1) == "ws://csms.example:9000/ocpp", "as chargers add their identity to it"
    assert main.door(2) == main.door(3) == "wss://csms.example:9443/ocpp"
    assert (depot.door(1), depot.apn, depot.vpn) == (None, "depot.iot", "tunnel 4")
    assert endpoint((main, depot), "depot-apn") == depot
    with pytest.raises(NotFound) as caught:
        endpoint((main, depot), "depo")
    assert "There are main, depot-apn." in caught.value.hint


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "no list of endpoints"),
        ({"main": {}}, "main: neither ws nor wss"),
        ({"main": {"ws": "wss://x/ocpp"}}, "main.ws: must be an address that begins with ws://"),
        ({"main": {"wss": "wss://u:secret@x/ocpp"}}, "main.wss: an address with a user"),
        ({"main": {"wss": "wss://x/ocpp?token=1"}}, "a query"),
        ({"main": {"wss": "wss://x:99999/"}}, "main.wss: is no address"),
        ({"main": {"wss": "wss://x/\u2028"}}, "main.wss: has characters"),
        ({"Main!": {"wss": "wss://x/"}}, "Main!"),
        ({"main": {"wss": "wss://x/", "password": "p"}}, "main.password"),
        ({"main": {"wss": "wss://" + "x" * 600}}, "main.wss"),
    ],
)
def test_what_is_no_door_is_refused(tmp_path: Path, value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, value)
    assert said in caught.value.diagnostics()


def test_without_a_file_only_this_machine_is_a_door() -> None:
    (own,) = read_endpoints(settings(None))
    assert (own.ws, own.wss) == ("ws://127.0.0.1:9000/ocpp", "wss://127.0.0.1:9443/ocpp")
    assert read_endpoints(settings(None, bind_host="0.0.0.0")) == ()
    with pytest.raises(InvalidInput):
        read_endpoints(settings(Path("/nowhere/endpoints.json")))
