"""Small things every engine relies on."""

import socket
from pathlib import Path

import pytest

from api.embedded.engine import LOOPBACK, bare_environment, free_ports, port_is_free
from api.embedded.errors import EngineFailed, last_words
from api.embedded.secrets_file import read_or_create_secret


def test_free_ports_differ_and_stay_below_outgoing_connections() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_000 for port in ports)


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not port_is_free(server.getsockname()[1])


def test_nothing_of_ours_reaches_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert set(bare_environment(tmp_path)) == {"PATH", "HOME", "LC_ALL", "TZ"}


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "password"
    first = read_or_create_secret(path)
    assert len(first) >= 32
    assert read_or_create_secret(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_create_secret(tmp_path / "other") != first


def test_a_failure_ends_with_the_last_words_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "s3.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    message = EngineFailed("S3", "stopped while starting", log).message
    assert message.startswith("S3 stopped while starting.")
    assert message.endswith("line 99")
    assert "line 50" not in message
    assert last_words(tmp_path / "none") == ""
