"""A tiny api on a loopback port that answers from a table, and the command line pointed at it."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from activities.facts import GroupFacts, WaveFacts
from api.cli.main import app
from api.cli.session import Session
from api.schemas.artifacts import ArtifactReply, StagedReply
from api.schemas.campaigns import CampaignReply, CampaignSummary, DecisionReply, TargetReply
from api.schemas.chargers import ChargerReply
from storage.artifact import Compatible, VendorSignature
from storage.campaign import Approval, GatePolicy, Outcome, TargetPhase, WaveTally
from storage.charger import Charger, SignatureScheme
from storage.events import ConnectorStatus, FirmwareStatus
from storage.ports import ChargerView
from storage.twin import (
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    Lifecycle,
    OpenTransaction,
    OperationSection,
    TwinState,
)
from workflows.gate import Look, decision

PREFIX = "/api/v1"
TOKEN = "amp_test_0123456789abcdef"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any] | Callable[[Seen], tuple[int, Any]]


@dataclass
class FakeApi:
    """Answers by (method, path below /api/v1); a list is played once through, its last answer stays."""

    url: str = ""
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """Bodies by whole path, for what is no JSON."""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def page(self, path: str, items: list[Any]) -> None:
        self.on("GET", path, (200, {"items": items, "next_cursor": None}))

    def refuse(self, method: str, path: str, status: int, **problem: Any) -> None:
        self.on(method, path, (status, {"type": "/problems/x", "status": status, **problem}))

    def answer(self, request: Seen) -> tuple[int, Any]:
        self.seen.append(request)
        if request.path in self.files:
            return 200, self.files[request.path]
        queue = self.answers.get((request.method, request.path))
        if queue is None:
            return 404, {"title": "There is no such thing", "detail": f"no {request.path}", "status": 404}
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return found(request) if callable(found) else found

    def last(self, method: str, path: str) -> Seen:
        return [one for one in self.seen if (one.method, one.path) == (method, path)][-1]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        request = Seen(
            self.command,
            parts.path.removeprefix(PREFIX),
            parse_qs(parts.query),
            dict(self.headers.items()),
            body,
        )
        status, document = self.fake.answer(request)
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        if status == 204:
            data = b""
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


@pytest.fixture(scope="session")
def _server() -> Iterator[tuple[str, type[_Handler]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", _Handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fake(_server: tuple[str, type[_Handler]]) -> FakeApi:
    url, handler = _server
    handler.fake = FakeApi(url)
    return handler.fake


Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an environment without Ampwave settings."""
    import os

    for name in [name for name in os.environ if name.startswith("AMPWAVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(fake: FakeApi, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the fake api, with a token, without waiting between looks."""
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", fake.url)
    monkeypatch.setenv("AMPWAVE_TOKEN", TOKEN)
    monkeypatch.setattr(Session, "pause", lambda self, seconds: None)

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="ampwave", **options)

    return invoke


@pytest.fixture
def sample() -> "Samples":
    return Samples()


NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ARTIFACT_ID = "ab" * 32
CAMPAIGN_ID = "spring-1a2b3c"


class Samples:
    """What the api answers, made with the api's own schemas so that neither side can drift alone."""

    def artifact(self, phase: str = "released", **changes: Any) -> Any:
        body = {
            "artifact_id": ARTIFACT_ID,
            "vendor_role": "acme",
            "version": "1.1.0",
            "release_counter": 11,
            "length": 4_200_000,
            "filename": "firmware.bin",
            "compatible": [Compatible("Acme", "AC22", ("A",))],
            "vendor_signatures": [VendorSignature(SignatureScheme.ECDSA_P256, "c2ln", "PEM")],
            "phase": phase,
            "reason": "",
            "uploaded_by": "ada",
            "uploaded_at": NOW - timedelta(hours=3),
        }
        return ArtifactReply.model_validate({**body, **changes}).model_dump(mode="json")

    def staged(self, **changes: Any) -> Any:
        body = {
            "artifact_id": ARTIFACT_ID,
            "role": "acme",
            "version": 4,
            "sha256": "cd" * 32,
            "payload": "e30=",
            "threshold": 2,
            "keyids": ["11" * 32],
            "signed_by": [{"keyid": "11" * 32, "signer": "grace", "signed_at": NOW}],
        }
        return StagedReply.model_validate({**body, **changes}).model_dump(mode="json")

    def summary(self, phase: str = "running", **changes: Any) -> Any:
        body = {
            "campaign_id": CAMPAIGN_ID,
            "name": "spring",
            "artifact_id": ARTIFACT_ID,
            "phase": phase,
            "reason": "",
            "plan_digest": "ef" * 32,
            "cohort_size": 60,
            "created_by": "ada",
            "created_at": NOW - timedelta(days=3),
            "finished_at": None,
        }
        return CampaignSummary.model_validate({**body, **changes}).model_dump(mode="json")

    def campaign(self, phase: str = "running", **changes: Any) -> Any:
        plan = {
            "name": "spring",
            "artifact_id": ARTIFACT_ID,
            "required_approvals": 2,
            "waves": [{"name": "canary", "share": 0.1, "soak_seconds": 3600}, {"name": "rest", "share": 0.9}],
        }
        body = {
            "plan": plan,
            "approvals": [Approval("grace", NOW, "ef" * 32)],
            "waves": [self.tally(0, "canary"), self.tally(1, "rest")],
            "excluded": [],
        }
        whole = {**self.summary(phase), **body, **changes}
        return CampaignReply.model_validate(whole).model_dump(mode="json")

    def tally(self, wave: int, name: str, total: int = 6, **counts: int) -> WaveTally:
        """Counts by outcome or phase; who is not counted is pending."""
        outcomes = {word: count for word, count in counts.items() if word in set(Outcome)}
        phases = {word: count for word, count in counts.items() if word in set(TargetPhase)}
        if outcomes:
            phases["done"] = sum(outcomes.values())
        left = total - sum(phases.values())
        return WaveTally(wave, name, total, {**phases, **({"pending": left} if left else {})}, outcomes)

    def target(self, charger: str = "CP-1", **changes: Any) -> Any:
        body = {
            "wave": 0,
            "ordinal": 0,
            "charger_id": charger,
            "site_id": "harbour",
            "artifact_id": ARTIFACT_ID,
            "from_version": "1.0.0",
            "to_version": "1.1.0",
            "phase": "done",
            "outcome": "updated",
            "reason": "It came back with 1.1.0.",
            "attempt": 1,
            "dispatched_at": NOW - timedelta(minutes=9),
            "finished_at": NOW - timedelta(minutes=5),
            "deferred_for_session": False,
        }
        return TargetReply.model_validate({**body, **changes}).model_dump(mode="json")

    def decision(self, failed: int = 0, *, wave: int = 0, look: int = 0, campaign: str = CAMPAIGN_ID) -> Any:
        """A real verdict by the real gate."""
        facts = WaveFacts(
            wave,
            total=6,
            updated=6 - failed,
            failed=failed,
            treated=GroupFacts(size=6, known=6, reporting=6),
            control=GroupFacts(size=54, known=54, reporting=54),
        )
        decided = decision(Look(campaign, wave, look, NOW), GatePolicy(), facts)
        return DecisionReply.of(decided).model_dump(mode="json")

    def charger(self, charger: str = "CP-1", **changes: Any) -> Any:
        twin = TwinState(
            charger,
            firmware=FirmwareSection(
                "1.0.0", "0.9.0", booted_at=NOW, status=FirmwareStatus.INSTALLED, status_at=NOW
            ),
            connectivity=ConnectivitySection(online=True, dialect="ocpp2.0.1", since=NOW, node_id="node-1"),
            operation=OperationSection(
                {"1.1": ConnectorState(1, 1, ConnectorStatus.OCCUPIED, NOW)},
                {"T-7": OpenTransaction("T-7", 1, 1, NOW, NOW, "Charging")},
            ),
        )
        view = ChargerView(
            Charger(charger, "harbour", "Acme", "AC22", Lifecycle.ACTIVE, "SN-1", "A", NOW),
            changes.pop("twin", twin),
            last_message_at=changes.pop("last_message_at", NOW),
            maintenance=changes.pop("maintenance", None),
        )
        return {**ChargerReply.whole(view, NOW).model_dump(mode="json"), **changes}
