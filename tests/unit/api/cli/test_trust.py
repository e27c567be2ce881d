"""Proving from outside, signing an approval, and the policy that people sign: with real keys and bytes."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api import bootstrap
from api.cli.fetching import fetch_from_url
from api.schemas.campaigns import PlanBody
from signing.approval import open_statement
from signing.ceremony import DevelopmentCeremony
from signing.keys import ensure_key_file, file_address, public_of_file
from signing.policy import Approver
from signing.trust_source import METADATA_PREFIX, fetch_from, load_trust, within
from storage.canonical import sha256_hex
from storage.clock import system_clock
from storage.errors import EngineUnavailable, InvalidInput, NotFound
from storage.plan_digest import plan_digest
from tests.support.signing_library import IMAGE, Library, make_library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return asyncio.run(make_library(tmp_path_factory.mktemp("library")))


@pytest.fixture
def mirror(library: Library, tmp_path: Path) -> Path:
    """The repository as files, the image and a directive beside it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, data in library.metadata().items():
        (folder / name).write_bytes(data)
    (tmp_path / "image.bin").write_bytes(IMAGE)
    (tmp_path / "directive.json").write_bytes(library.envelope)
    (tmp_path / "root.json").write_bytes(library.root)
    return folder


def verify(run: Any, mirror: Path, *options: str, where: str = "") -> Any:
    root = str(mirror.parent / "root.json")
    return run("tuf", "verify", "--repository", where or mirror.as_uri(), "--root", root, *options)


@pytest.mark.requirement("S22", "S23")
class TestVerify:
    def test_it_says_what_it_proved_and_who_signed(self, run: Any, mirror: Path, fake: Any) -> None:
        files = (
            "--image",
            str(mirror.parent / "image.bin"),
            "--directive",
            str(mirror.parent / "directive.json"),
        )
        result = verify(run, mirror, *files)
        assert result.exit_code == 0, result.output
        for words in (
            "root 1: signed by",
            "(2 needed), expires in",
            "Released: acme/1.1/firmware.bin, counter 11, 12 bytes",
            "for    Acme Volt",
            "vendor ecdsa-p256-sha256, certificate",
            "Directed: d-1, 1 charger to 1.1, ends in",
            "approved by sam, says the signer",
            "It holds: 5 roles, 1 releases, nothing expired.",
        ):
            assert words in result.stdout
        document = json.loads(verify(run, mirror, *files, "--json").stdout)
        assert document["release"]["sha256"] == sha256_hex(IMAGE)
        assert document["directive"]["chargers"] == ["CP-1"]
        assert document["pinned_root_sha256"] == sha256_hex((mirror.parent / "root.json").read_bytes())
        assert fake.seen == [], "no api, no account"

    def test_another_image_another_root_and_no_answer_end_differently(
        self, run: Any, mirror: Path, library: Library
    ) -> None:
        (mirror.parent / "image.bin").write_bytes(IMAGE + b"!")
        other = verify(run, mirror, "--image", str(mirror.parent / "image.bin"))
        assert (other.exit_code, "No signed release has this file" in other.stderr) == (1, True)
        missing = verify(run, mirror, "--image", "nowhere.bin")
        assert missing.exit_code == 2
        away = verify(run, mirror, where="http://127.0.0.1:1/metadata")
        assert away.exit_code == 3, away.output
        assert "2.root.json" in away.stderr
        for where in ("ftp://x/y", "mirror", "http://", "http://x/y?z=1"):
            assert verify(run, mirror, where=where).exit_code == 2
        both = verify(run, mirror, "--dir", str(mirror))
        assert (both.exit_code, "two places" in both.stderr) == (2, True)
        stranger = asyncio.run(make_library(mirror.parent / "stranger"))
        (mirror.parent / "root.json").write_bytes(stranger.root)
        assert verify(run, mirror).exit_code == 1


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server on a loopback port whose every connection is handled by a function."""
    listening = socket.create_server(("127.0.0.1", 0))
    handling: list[Callable[[socket.socket], None]] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                try:
                    handling[0](peer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def start(handle: Callable[[socket.socket], None]) -> str:
        handling.append(handle)
        return f"http://127.0.0.1:{listening.getsockname()[1]}/metadata"

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def answer(status: str, *headers: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    lines = "\r\n".join((f"HTTP/1.1 {status}", "Connection: close", *headers))
    return lambda peer: peer.sendall(lines.encode() + b"\r\n\r\n" + body)


@pytest.mark.requirement("S20")
@pytest.mark.parametrize(
    "status", ["403 Forbidden", "500 No", "503 Slow", "302 There", "206 Part", "204 None"]
)
async def test_only_404_means_that_there_is_no_next_root(server: Any, status: str) -> None:
    fetch = fetch_from_url(server(answer(status, "Location: http://127.0.0.1:1/x", "Content-Length: 0")))
    with pytest.raises(EngineUnavailable, match=status[:3]):
        await fetch("2.root.json", 1000)


@pytest.mark.requirement("S20")
async def test_404_does(server: Any) -> None:
    with pytest.raises(NotFound):
        await fetch_from_url(server(answer("404 Not Found")))("2.root.json", 1000)


@pytest.mark.requirement("S30")
async def test_a_server_that_never_stops_is_cut_off_at_the_limit(server: Any) -> None:
    sent = 0

    def endless(peer: socket.socket) -> None:
        nonlocal sent
        answer("200 OK")(peer)
        while True:
            sent += peer.send(b"x" * 65536)

    with pytest.raises(InvalidInput, match="longer than 1000 bytes"):
        await fetch_from_url(server(endless))("timestamp.json", 1000)
    assert sent < 64 * 1024 * 1024


@pytest.mark.requirement("S30")
async def test_a_server_that_trickles_is_given_up(server: Any) -> None:
    done = threading.Event()

    def trickling(peer: socket.socket) -> None:
        answer("200 OK", "Content-Length: 900", body=b"x")(peer)
        done.wait(10)

    fetch = within(fetch_from_url(server(trickling)), 0.2)
    with pytest.raises(EngineUnavailable, match="did not come within"):
        await fetch("timestamp.json", 1000)
    done.set()


@pytest.fixture
def enlisted(library: Library, tmp_path: Path) -> Library:
    """A repository of its own that lists ada as an approver."""
    copy = library.copy(tmp_path / "own")
    key = ensure_key_file(copy.folder / "ada.pem")
    ceremony = DevelopmentCeremony(
        copy.blobs,
        copy.folder,
        system_clock,
        change=lambda policy: replace(policy, approvers={key.keyid: Approver("ada", key)}),
    )
    asyncio.run(ceremony.ensure([]))
    return copy


@pytest.mark.requirement("S24")
class TestApprove:
    def offer(
        self, fake: Any, sample: Any, library: Library, cohort: list[list[str]], image: str = ""
    ) -> dict[str, Any]:
        """A server that shows a campaign over these chargers."""
        campaign: dict[str, Any] = sample.campaign("awaiting_approval", approvals=[])
        campaign["artifact_id"] = campaign["plan"]["artifact_id"] = image or sha256_hex(IMAGE)
        plan = PlanBody.model_validate(campaign["plan"]).to_noun()
        campaign["plan_digest"] = plan_digest(plan, cohort)
        path = f"/campaigns/{campaign['campaign_id']}"
        fake.page("/campaigns", [campaign])
        fake.on("GET", path, (200, campaign))
        rows = {
            number: [sample.target(name, wave=number, ordinal=at) for at, name in enumerate(names)]
            for number, names in enumerate(cohort)
        }
        fake.on(
            "GET",
            f"{path}/targets",
            lambda seen: (200, {"items": rows[int(seen.query["wave"][0])], "next_cursor": None}),
        )
        fake.on("POST", f"{path}/approve", (202, campaign))
        for name, data in library.metadata().items():
            fake.files[f"/tuf/metadata/{name}"] = data
        return campaign

    def approve(self, run: Any, library: Library, *options: str, key: str = "ada") -> Any:
        root = library.folder / "root.json"
        address = file_address(library.folder / f"{key}.pem")
        return run("campaign", "approve", "spring", "--key", address, "--root", str(root), "--yes", *options)

    def test_the_digest_is_computed_here_and_signed(
        self, run: Any, fake: Any, sample: Any, enlisted: Library
    ) -> None:
        campaign = self.offer(fake, sample, enlisted, [["CP-1"], ["CP-2", "CP-3"]])
        result = self.approve(run, enlisted)
        assert result.exit_code == 0, result.output
        assert "You sign as ada" in result.stderr
        assert "3 chargers, counted here" in result.stderr
        assert "image    acme/1.1/firmware.bin, release counter 11" in result.stderr
        assert "back to  nothing" in result.stderr
        [sent] = [one.json for one in fake.seen if one.method == "POST"]
        key = public_of_file(enlisted.folder / "ada.pem")
        statement = open_statement(sent["evidence"], {key.keyid: Approver("ada", key)})
        assert statement.campaign_id == campaign["campaign_id"]
        assert statement.plan_digest == campaign["plan_digest"]
        assert statement.artifact_id == campaign["plan"]["artifact_id"]
        assert statement.not_after - statement.at == timedelta(days=30)

    def test_a_server_that_shows_another_cohort_than_it_hashed_is_found_out(
        self, run: Any, fake: Any, sample: Any, enlisted: Library
    ) -> None:
        campaign = self.offer(fake, sample, enlisted, [["CP-1"], ["CP-2"]])
        campaign["plan_digest"] = "0" * 64
        result = self.approve(run, enlisted)
        assert result.exit_code == 1
        assert "Not signed: the server's digest" in result.stderr
        assert [one for one in fake.seen if one.method == "POST"] == []

    def test_an_image_that_nobody_released_is_not_approved(
        self, run: Any, fake: Any, sample: Any, enlisted: Library
    ) -> None:
        self.offer(fake, sample, enlisted, [["CP-1"], ["CP-2"]], image="6" * 64)
        result = self.approve(run, enlisted)
        assert (result.exit_code, "nobody released the image" in result.stderr) == (1, True)
        assert [one for one in fake.seen if one.method == "POST"] == []

    def test_a_key_that_nobody_listed_and_a_policy_without_approvers_sign_nothing(
        self, run: Any, fake: Any, sample: Any, enlisted: Library, library: Library
    ) -> None:
        self.offer(fake, sample, enlisted, [["CP-1"], ["CP-2"]])
        assert "none of those that count" in self.approve(run, enlisted, key="snapshot").stderr
        self.offer(fake, sample, library, [["CP-1"], ["CP-2"]])
        nobody = self.approve(run, library, key="snapshot")
        assert (nobody.exit_code, "lists no approvers" in nobody.stderr) == (2, True)
        assert [one for one in fake.seen if one.method == "POST"] == []


@pytest.mark.requirement("S17", "S37")
class TestPolicy:
    @pytest.fixture
    def own(self, library: Library, home: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
        copy = library.copy(home / "own")

        @asynccontextmanager
        async def open_blobs(settings: Any) -> Any:
            yield copy.blobs

        monkeypatch.setattr(bootstrap, "open_blobs", open_blobs)
        monkeypatch.setenv("AMPWAVE_S3_ENDPOINT", "http://s3.invalid")
        monkeypatch.setenv("AMPWAVE_KEY_DIR", str(copy.folder))
        monkeypatch.setenv("AMPWAVE_TRUSTED_ROOT_FILE", str(copy.folder / "root.json"))
        return copy

    def test_who_approves_and_what_is_trusted_is_signed(self, run: Any, own: Library, home: Path) -> None:
        ensure_key_file(home / "ada.pem")
        shown = run("tuf", "policy")
        assert shown.exit_code == 0, shown.output
        assert "none: approvals are the api's word" in shown.stdout
        changed = run(
            "tuf", "policy", "--approver", "ada:ada.pub.json", "--minimum", "Acme/Volt:10",
            "--unsafe-waive", "Acme/Volt:Ada: its maker offers none",
        )  # fmt: skip
        assert changed.exit_code == 0, changed.output
        assert "UNSIGNED ALLOWED: Ada: its maker offers none" in changed.stdout
        policy = asyncio.run(load_trust(fetch_from(own.blobs), own.root, system_clock())).policy
        assert [one.name for one in policy.approvers.values()] == ["ada"]
        assert policy.of_model("Acme", "Volt").minimum_counter == 10
        run("tuf", "policy", "--unsafe-waive", "Acme/Volt:")
        asyncio.run(DevelopmentCeremony(own.blobs, own.folder, system_clock).ensure(["acme", "bolt"]))
        kept = asyncio.run(load_trust(fetch_from(own.blobs), own.root, system_clock())).policy
        assert kept.of_model("Acme", "Volt").unsafe_unsigned_waiver is None
        assert kept.of_model("Acme", "Volt").minimum_counter == 10
        assert kept.approvers == policy.approvers, "a later ceremony forgets nobody"

    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            (["--approver", "ada"], 2, "lacks its colon"),
            (["--approver", "ada:nowhere.json"], 1, "not a public key file"),
            (["--minimum", "Acme:1"], 2, "not VENDOR/MODEL"),
            (["--minimum", "Acme/Volt:x"], 2, "not a release counter"),
            (["--threshold", "3", "--approver", "ada:ada.pub.json"], 1, "cannot be given"),
        ],
    )
    def test_what_cannot_be_meant_is_not_signed(
        self, run: Any, own: Library, home: Path, options: list[str], code: int, words: str
    ) -> None:
        ensure_key_file(home / "ada.pem")
        before = dict(own.blobs.objects)
        result = run("tuf", "policy", *options)
        assert (result.exit_code, words in result.stderr) == (code, True), result.output
        assert own.blobs.objects == before
        assert not any(key.startswith(f"{METADATA_PREFIX}3.targets") for key in before)
