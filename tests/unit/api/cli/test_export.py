"""Daily files at the command line: held to their digests."""

from pathlib import Path
from typing import Any

import pytest

from storage.canonical import sha256_hex

pytestmark = pytest.mark.requirement("F100")
DATA = b"charger_id\r\nA\r\n"


def test_a_day_is_fetched_and_a_changed_file_is_not_kept(run: Any, fake: Any, home: Path) -> None:
    file = {"name": "sessions.csv", "rows": 1, "bytes": len(DATA), "sha256": sha256_hex(DATA)}
    manifest = {"day": "2026-11-24", "made_at": "2026-11-25T01:00:00Z", "files": [file]}
    fake.on("GET", "/exports", (200, [manifest]))
    fake.files["/exports/2026-11-24/sessions.csv"] = DATA
    assert "2026-11-24" in run("export", "list").stdout
    assert run("export", "fetch", "2026-11-24", "--to", "day").exit_code == 0
    assert (home / "day" / "sessions.csv").read_bytes() == DATA
    assert run("export", "fetch", "2026-11-24", "--to", "day").exit_code == 2
    assert run("export", "fetch", "2026-11-23", "--to", "other").exit_code == 1
    assert run("export", "fetch", "yesterday", "--to", "other").exit_code == 2
    fake.files["/exports/2026-11-24/sessions.csv"] = DATA + b"B\r\n"
    result = run("export", "fetch", "2026-11-24", "--to", "changed")
    assert result.exit_code == 1
    assert "other bytes" in result.stderr
    assert not (home / "changed" / "sessions.csv").exists()


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil", "..", "a/b.csv", "", "a\nb", ".hidden", 5])
def test_a_server_writes_nowhere_but_into_the_folder(run: Any, fake: Any, home: Path, name: Any) -> None:
    file = {"name": name, "rows": 1, "bytes": len(DATA), "sha256": sha256_hex(DATA)}
    fake.on(
        "GET", "/exports", (200, [{"day": "2026-11-24", "made_at": "2026-11-25T01:00:00Z", "files": [file]}])
    )
    fake.files["/exports/2026-11-24/evil.csv"] = fake.files["/exports/evil.csv"] = DATA
    before = {path for path in home.rglob("*") if path.is_file()}
    result = run("export", "fetch", "2026-11-24", "--to", "in/day")
    assert result.exit_code == 1
    assert "no plain name" in result.stderr or name == 5
    assert {path for path in home.rglob("*") if path.is_file()} == before
