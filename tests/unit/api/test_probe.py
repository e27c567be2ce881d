"""Container health checks."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from api import probe
from api.embedded.engine import free_ports


class Readiness(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def api_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Readiness) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AMPWAVE_API_PORT", str(server.server_port))
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_api_is_at_work_when_it_is_ready(
    api_port: int, status: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Readiness, "status", status)
    assert probe.main(["api"]) == code


def test_a_node_is_at_work_when_it_accepts_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AMPWAVE_CSMS_PORT", str(server.getsockname()[1]))
        assert probe.main(["csms"]) == 0
    monkeypatch.setenv("AMPWAVE_CSMS_PORT", str(free_ports(1)[0]))
    assert probe.main(["csms"]) == 1


@pytest.mark.parametrize("arguments", [[], ["relay"], ["api", "csms"]])
def test_other_words_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main(arguments) == 2
    assert "api, csms, worker, signer" in capsys.readouterr().err
