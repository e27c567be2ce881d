"""A large upload goes on where it broke off, in this run or the next, and gives up in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api.cli import resumable
from api.cli.errors import CliError, Refused, Unreachable

IMAGE = bytes(range(256)) * 40
SHA = "ab" * 32


@dataclass
class Server:
    """Takes bytes as tus has it; ``faults`` are raised in turn, each after half of a piece was kept."""

    faults: list[BaseException] = field(default_factory=list)
    late_faults: list[Exception] = field(default_factory=list)
    kept: bytes = b""
    heads: int = 0
    posted: list[tuple[str, Any]] = field(default_factory=list)

    def tus(
        self, method: str, path: str, headers: Mapping[str, str], content: Iterable[bytes] | None = None
    ) -> Mapping[str, str]:
        if method == "PATCH":
            data = b"".join(content or ())
            assert int(headers["Upload-Offset"]) == len(self.kept)
            if self.faults:
                self.kept += data[: len(data) // 2]
                raise self.faults.pop(0)
            self.kept += data
        self.heads += method == "HEAD"
        return {"location": "/api/v1/uploads/u1", "upload-offset": str(len(self.kept))}

    def post(self, path: str, body: Any, *, patience_s: float) -> dict[str, Any]:
        self.posted.append((path, body))
        if self.late_faults:
            raise self.late_faults.pop(0)
        return {"artifact_id": SHA}


@dataclass
class Terminal:
    api: Server
    json: bool = False
    notes: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resumable, "PIECE", 4096)
    path = tmp_path / "fw.bin"
    path.write_bytes(IMAGE)
    return path


def upload(terminal: Terminal, image: Path) -> Any:
    return resumable.upload_in_pieces(terminal, image, {"sha256": SHA})  # type: ignore[arg-type]


def test_what_breaks_goes_on_where_it_was(image: Path) -> None:
    faults = [Unreachable("gone"), Refused({"status": 409, "title": "elsewhere"}), Unreachable("gone")]
    terminal = Terminal(Server(faults))

    assert upload(terminal, image) == {"artifact_id": SHA}
    assert terminal.api.kept == IMAGE
    assert terminal.api.heads == 3
    assert terminal.pauses == sorted(terminal.pauses)
    assert terminal.api.posted == [("/uploads/u1/artifact", {"sha256": SHA})]


def test_the_next_run_goes_on_and_says_so(image: Path) -> None:
    terminal = Terminal(Server(kept=IMAGE[:5000]))
    upload(terminal, image)

    assert terminal.api.kept == IMAGE
    assert "Going on at" in terminal.notes[0]


def test_the_last_request_is_repeated_when_its_answer_is_lost(image: Path) -> None:
    terminal = Terminal(Server(late_faults=[Unreachable("gone")] * 2))

    assert upload(terminal, image) == {"artifact_id": SHA}
    assert terminal.api.posted == [("/uploads/u1/artifact", {"sha256": SHA})] * 3


def test_the_last_request_is_not_repeated_for_ever_nor_when_it_is_refused(image: Path) -> None:
    away = Terminal(Server(late_faults=[Unreachable("gone")] * 50))
    refused = Terminal(Server(late_faults=[Refused({"status": 422, "title": "no"})] * 50))
    for terminal in (away, refused):
        with pytest.raises(CliError):
            upload(terminal, image)

    assert (len(away.api.posted), len(refused.api.posted)) == (4, 1)


def test_a_file_that_shrinks_is_said_and_not_asked_for_again_and_again(image: Path) -> None:
    terminal = Terminal(Server(kept=IMAGE[:5000]))
    tus = terminal.api.tus

    def shrinking(method: str, *said: Any) -> Mapping[str, str]:
        answer = tus(method, *said)
        image.write_bytes(IMAGE[:4000])
        return answer

    terminal.api.tus = shrinking  # type: ignore[method-assign]
    with pytest.raises(CliError, match="became shorter"):
        upload(terminal, image)
    assert not terminal.api.posted


def test_who_stops_it_learns_that_it_can_go_on(image: Path) -> None:
    terminal = Terminal(Server([KeyboardInterrupt()]))

    with pytest.raises(KeyboardInterrupt):
        upload(terminal, image)
    assert "goes on from there" in terminal.notes[-1]


@pytest.mark.parametrize("fault", [Unreachable("gone"), Refused({"status": 413, "title": "too large"})])
def test_it_gives_up_in_words(image: Path, fault: CliError) -> None:
    terminal = Terminal(Server([fault] * 50))

    with pytest.raises(CliError, match="broke off at") as caught:
        upload(terminal, image)
    assert "goes on from there" in caught.value.hint
    assert not terminal.api.posted
