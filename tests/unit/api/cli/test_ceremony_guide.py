"""``signing/CEREMONY.md``, followed literally: every command as it stands, against a signer of its own."""

import asyncio
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import session
from api.cli.main import app
from signing.roles import metadata_file
from signing.service import OnlineKeys, SigningService
from signing.trust_source import METADATA_PREFIX
from storage.clock import system_clock
from storage.errors import AmpwaveError
from tests.unit.api.cli.conftest import FakeApi, Seen
from tests.unit.signing.conftest import DictBlobs

GUIDE = Path(__file__).parents[4] / "signing" / "CEREMONY.md"


def blocks() -> Iterator[str]:
    yield from re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


class Server:
    """The api's two doors to the repository, with the real signer behind them."""

    def __init__(self, folder: Path, fake: FakeApi) -> None:
        self._folder, self._fake = folder, fake
        self.blobs = DictBlobs()
        fake.on("POST", "/tuf/ceremonies", self.take)

    def take(self, request: Seen) -> tuple[int, Any]:
        root = (self._folder / "server" / "root.json").read_bytes()
        keys = OnlineKeys.in_folder(self._folder / "signer")
        try:
            stamp = asyncio.run(
                SigningService(self.blobs, root, keys, system_clock).conclude_ceremony(request.body)
            )
        except AmpwaveError as error:
            return 409, {"title": error.message, "status": 409}
        self._fake.files.update(
            {
                f"/tuf/metadata/{key.removeprefix(METADATA_PREFIX)}": data
                for key, data in self.blobs.objects.items()
            }
        )
        return 200, {"sha256": "0" * 64, "versions": stamp.versions, "signers": list(stamp.signers)}


@pytest.fixture
def follow(home: Path, fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Run one line in an empty folder, as the person at the keyboard does; asked, the person says yes."""
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", fake.url)
    monkeypatch.setenv("AMPWAVE_TOKEN", "amp_test_0123456789abcdef")
    monkeypatch.setattr(session, "_somebody_is_there", lambda: True)

    def run(line: str) -> str:
        if not line.startswith("ampwave "):
            done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stderr)
            return done.stdout
        result = CliRunner().invoke(app, shlex.split(line)[1:], prog_name="ampwave", input="y\n")
        assert result.exit_code == 0, (line, result.output)
        return result.output

    return run


@pytest.mark.requirement("S1", "S4", "S15", "S21")
def test_every_command_of_the_guide_does_what_it_says(
    follow: Callable[[str], str], tmp_path: Path, fake: FakeApi
) -> None:
    server = Server(tmp_path, fake)
    said: dict[str, str] = {}
    for block in blocks():
        for line in [block] if "<<" in block else block.splitlines():
            said[line] = follow(line)
    status = [output for line, output in said.items() if line.startswith("ampwave tuf status")][-1]
    assert "bolt" in status
    assert "All of it is verified from your own root." in status
    written = {key.removeprefix(METADATA_PREFIX) for key in server.blobs.objects}
    assert {metadata_file("root", 3), metadata_file("targets", 3), metadata_file("acme", 2)} <= written
    stamp = json.loads(server.blobs.objects[METADATA_PREFIX + "timestamp.json"])["signed"]
    assert stamp["version"] <= 3, "they began anew after the online keys were stolen"
    assert not (tmp_path / "signer" / "snapshot.pem").exists()
    newest = max(int(name.partition(".")[0]) for name in written if name.endswith(".targets.json"))
    targets = json.loads(server.blobs.objects[METADATA_PREFIX + metadata_file("targets", newest)])["signed"]
    assert {one["name"] for one in targets["x-ampwave"]["approvers"].values()} == {"uma", "omar"}


def test_the_guide_names_every_command_there_is() -> None:
    text = GUIDE.read_text()
    for name in (
        "init",
        "sign",
        "combine",
        "review",
        "bootstrap",
        "publish",
        "rotate",
        "status",
        "restore",
        "drill",
    ):
        assert f"ampwave tuf {name}" in text, name
