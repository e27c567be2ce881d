"""The audit log at the command line: exported with its proof, and checked where our server is not."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from api.schemas.access import AuditReply
from signing.checkpoint import sign_checkpoint
from signing.keys import public_bytes
from signing.timestamping import fetch_stamp
from storage.audit import GENESIS, AuditCheckpoint, AuditEntry, AuditRow, chain_hash
from storage.canonical import canonical_json, sha256_hex
from tests.support.time_stamp_authority import Authority

pytestmark = pytest.mark.requirement("S65", "F32")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOTARY, FORGER = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
Rows = list[dict[str, Any]]


def _log(count: int, *, actor: str = "ada", after: Rows | None = None) -> Rows:
    rows = list(after or [])
    previous = rows[-1]["row_hash"] if rows else GENESIS
    for number in range(len(rows) + 1, count + 1):
        entry = AuditEntry(NOW, actor, "campaign.approved", "spring", {"share": 0.05, "é": [number, None]})
        row = AuditRow(number, entry, previous, chain_hash(number, previous, entry))
        rows.append(AuditReply.of(row).model_dump(mode="json"))
        previous = row.row_hash
    return rows


def _checkpoints(rows: Rows, sizes: list[int], signer: CryptoSigner = NOTARY) -> list[dict[str, Any]]:
    items, previous = [], ""
    for sequence, size in enumerate(sizes, start=1):
        at = NOW + timedelta(hours=sequence)
        document = sign_checkpoint(
            AuditCheckpoint(sequence, size, rows[size - 1]["row_hash"], at, previous), signer
        )
        items.append({"sequence": sequence, "envelope": json.loads(document)})
        previous = sha256_hex(document)
    return items


@pytest.fixture
def serve(fake: Any, home: Path) -> Callable[..., None]:
    """The api with this log; the notary's key lies in ``notary.pub.json``."""
    (home / "notary.pub.json").write_bytes(public_bytes(NOTARY.public_key))

    def put(rows: Rows, checkpoints: list[dict[str, Any]] | None = None) -> None:
        fake.page("/audit", rows)
        fake.page("/audit/checkpoints", checkpoints or [])
        for signer in (NOTARY, FORGER):
            key = json.loads(public_bytes(signer.public_key))
            fake.on("GET", f"/audit/keys/{key['keyid']}", (200, key))

    return put


@pytest.fixture
def exported(run: Any, serve: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An honest export of nine rows, signed up to the eighth, on a machine without server and token."""
    rows = _log(9)
    serve(rows, _checkpoints(rows, [3, 8]))
    assert run("audit", "export", "log.jsonl").exit_code == 0
    monkeypatch.delenv("AMPWAVE_TOKEN")
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", "http://127.0.0.1:1")
    return home / "log.jsonl"


def _verify(run: Any, *more: str) -> Any:
    return run("audit", "verify", "log.jsonl", "--key", "notary.pub.json", *more)


def test_an_honest_export_verifies_without_the_server(run: Any, exported: Path) -> None:
    result = json.loads(_verify(run, "--json").stdout)
    assert result == {
        "intact": True,
        "rows": 9,
        "first": 1,
        "last": 9,
        "last_hash": _log(9)[-1]["row_hash"],
        "checkpoints": 2,
        "proven_up_to": 8,
        "log_had": 8,
        "newest_checkpoint_at": "2026-11-20T14:00:00+00:00",
        "keys": [NOTARY.public_key.keyid],
        "keys_pinned": True,
        "time_stamps": 0,
        "dated_up_to": 0,
        "dated_at": None,
        "problems": [],
    }
    said = _verify(run).stdout
    assert said.startswith("Intact: 9 rows")
    assert "Signed up to row 8; the next checkpoint will cover the 1 after it." in said
    assert "The newest checkpoint is of 2026-11-20 14:00Z" in said


def _edit(rows: Rows) -> Rows:
    return [*rows[:3], {**rows[3], "actor": "mallory"}, *rows[4:]]


def _edit_and_hash(rows: Rows) -> Rows:
    return _log(5, actor="mallory", after=rows[:4])[:5] + rows[5:]


def _delete(rows: Rows) -> Rows:
    return rows[:3] + rows[4:]


def _delete_and_renumber(rows: Rows) -> Rows:
    return rows[:3] + [{**row, "number": row["number"] - 1} for row in rows[4:]]


def _insert(rows: Rows) -> Rows:
    return [*rows[:4], rows[1], *rows[4:]]


def _insert_and_renumber(rows: Rows) -> Rows:
    new = _log(5, actor="mallory", after=rows[:4])
    return new + [{**row, "number": row["number"] + 1} for row in rows[4:]]


def _swap(rows: Rows) -> Rows:
    return [*rows[:3], rows[4], rows[3], *rows[5:]]


def _cut(rows: Rows) -> Rows:
    return rows[:6]


def _new_tail(rows: Rows) -> Rows:
    return _log(9, actor="mallory", after=rows[:5])


def _all_anew(rows: Rows) -> Rows:
    return _log(len(rows), actor="mallory")


def _off_by_the_head(rows: Rows) -> Rows:
    return rows[2:]


@pytest.mark.parametrize(
    ("attack", "row", "kind", "why"),
    [
        (_edit, 4, "edited", "Row 4 was edited"),
        (_edit_and_hash, 5, "replaced", "Row 6 was written after a row with the hash"),
        (_delete, 4, "deleted", "Row 4 is missing"),
        (_delete_and_renumber, 4, "deleted", "Row 4 was number 5 once"),
        (_insert, 2, "inserted", "Row 2 is there more than once"),
        (_insert_and_renumber, 6, "inserted", "Row 6 was number 5 once"),
        (_swap, 4, "reordered", "Row 4 comes after row 5"),
        (_cut, 7, "cut", "Rows 7 to 8 are missing: checkpoint 2"),
        (_new_tail, 8, "rebuilt", "from row 4 on or later"),
        (_all_anew, 3, "rebuilt", "Row 3 is not the one that checkpoint 1"),
        (_off_by_the_head, 1, "deleted", "Rows 1 to 2 are missing"),
    ],
)
def test_what_was_done_to_an_export_is_found_and_named(
    run: Any, exported: Path, attack: Callable[[Rows], Rows], row: int, kind: str, why: str
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    proof = [line for line in lines if "kind" in line]
    rows = attack([line for line in lines if "kind" not in line])
    exported.write_text("".join(json.dumps(line) + "\n" for line in [*proof, *rows]))
    result = _verify(run, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["problems"]
    assert any((one["row"], one["kind"]) == (row, kind) and why in one["why"] for one in found), found
    assert why in _verify(run).stderr


def test_a_log_and_checkpoints_of_another_hand_are_not_believed(run: Any, serve: Any) -> None:
    rows = _log(5, actor="mallory")
    serve(rows, _checkpoints(rows, [5], FORGER))
    result = run("audit", "verify", "--key", "notary.pub.json")
    assert result.exit_code == 1
    assert "none of these is trusted here" in result.stderr


def test_keys_that_came_along_prove_little_and_it_says_so(run: Any, serve: Any) -> None:
    rows = _log(5, actor="mallory")
    serve(rows, _checkpoints(rows, [5], FORGER))
    result = run("audit", "verify")
    assert result.exit_code == 0
    assert "whoever forged one could forge both" in result.stderr
    assert FORGER.public_key.keyid in result.stderr


def test_a_missing_checkpoint_and_a_changed_one_are_found(run: Any, serve: Any) -> None:
    rows = _log(9)
    points = _checkpoints(rows, [2, 5, 9])
    serve(rows, [points[0], points[2]])
    assert "Checkpoint 2 is missing" in run("audit", "verify", "--key", "notary.pub.json").stderr
    points[1]["envelope"]["signatures"][0]["sig"] = points[0]["envelope"]["signatures"][0]["sig"]
    serve(rows, points)
    assert (
        "signature of the checkpoint does not hold"
        in run("audit", "verify", "--key", "notary.pub.json").stderr
    )


def test_this_machines_own_key_is_found(run: Any, serve: Any, home: Path) -> None:
    keys = home / ".ampwave" / "keys"
    keys.mkdir(parents=True)
    (keys / "record-2025.pub.json").write_bytes(public_bytes(FORGER.public_key))
    (keys / "record.pub.json").write_bytes(public_bytes(NOTARY.public_key))
    rows = _log(4)
    serve(rows, _checkpoints(rows, [4]))
    result = json.loads(run("audit", "verify", "--json").stdout)
    assert (result["keys_pinned"], result["proven_up_to"]) == (True, 4)


def test_a_range_is_held_against_the_checkpoint_before_it(
    run: Any, fake: Any, serve: Any, home: Path
) -> None:
    rows = _log(9)
    serve(rows[3:6], _checkpoints(rows, [3, 8]))
    assert run("audit", "export", "log.jsonl", "--from", "4", "--to", "6").exit_code == 0
    asked = [seen.query for seen in fake.seen if seen.path == "/audit"]
    assert (asked[0]["cursor"], asked[0]["limit"]) == (["3"], ["3"])
    assert "A part of the log: rows 4 to 6 of at least 8." in _verify(run).stdout
    forged = _log(9, actor="mallory")[3:6]
    lines = [line for line in (home / "log.jsonl").read_text().splitlines() if '"kind"' in line]
    (home / "log.jsonl").write_text("\n".join([*lines, *map(json.dumps, forged)]) + "\n")
    assert "Row 4 does not begin where the log does" in _verify(run).stderr


async def _stamped(points: list[dict[str, Any]], authority: Authority) -> None:
    for item in points:
        stamp = await fetch_stamp(canonical_json(item["envelope"]), authority.post)
        item["timestamp"] = base64.b64encode(stamp).decode()


def test_time_stamps_travel_with_an_export_and_are_checked(run: Any, serve: Any, home: Path) -> None:
    rows, authority = _log(9), Authority(home / "tsa")
    points = _checkpoints(rows, [3, 8])
    asyncio.run(_stamped(points, authority))
    serve(rows, points)
    assert run("audit", "export", "log.jsonl").exit_code == 0
    assert "2 time stamps were not checked" in _verify(run).stdout
    result = json.loads(_verify(run, "--tsa-root", "tsa/ca.pem", "--json").stdout)
    assert (result["intact"], result["dated_up_to"]) == (True, 8)
    assert "An outside authority saw it up to row 8" in _verify(run, "--tsa-root", "tsa/ca.pem").stdout
    points[1]["timestamp"] = points[0]["timestamp"]
    serve(rows, points)
    forged = run("audit", "verify", "--key", "notary.pub.json", "--tsa-root", "tsa/ca.pem")
    assert forged.exit_code == 1
    assert "time stamp of a checkpoint" in forged.stderr
    assert run("audit", "verify", "--tsa-root", "notary.pub.json").exit_code == 2


def test_from_the_api(run: Any, serve: Any) -> None:
    serve(_log(2))
    assert json.loads(run("audit", "verify", "--json").stdout)["rows"] == 2
    assert "No signed checkpoint covers them" in run("audit", "verify").stdout
    serve([])
    assert run("audit", "verify").stdout == "The log is empty.\n"


def test_a_cut_tail_is_seen_by_a_noted_hash(run: Any, serve: Any) -> None:
    rows = _log(3)
    serve(rows[:2])
    assert run("audit", "verify", "--last-hash", rows[1]["row_hash"]).exit_code == 0
    result = run("audit", "verify", "--last-hash", rows[2]["row_hash"])
    assert result.exit_code == 1
    assert "the log was cut" in result.stderr


def test_a_file_that_is_no_export(run: Any, home: Path) -> None:
    (home / "x").write_text("hello\n")
    assert "line 1" in run("audit", "verify", "x").stderr
    (home / "y").write_text('{"number": 1}\n')
    assert "not a row of an audit log" in run("audit", "verify", "y").stderr
    (home / "deep").write_text("[" * 100_000 + "\n")
    assert "line 1" in run("audit", "verify", "deep").stderr
    (home / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "it is not text" in run("audit", "verify", "bytes").stderr
    (home / "future").write_text('{"kind": "export", "format": 9}\n')
    assert "does not know" in run("audit", "verify", "future").stderr
    assert run("audit", "verify", "z").exit_code == 2


def test_an_export_never_overwrites_and_leaves_nothing_half(
    run: Any, serve: Any, fake: Any, home: Path
) -> None:
    serve(_log(2))
    (home / "log.jsonl").write_text("mine")
    assert run("audit", "export", "log.jsonl").exit_code == 2
    assert (home / "log.jsonl").read_text() == "mine"
    fake.refuse("GET", "/audit", 503, title="away")
    assert run("audit", "export", "other.jsonl").exit_code != 0
    assert [path.name for path in home.iterdir() if "other" in path.name] == []


def test_a_log_without_checkpoints_does_not_hold_where_a_key_is_named(run: Any, exported: Path) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    rows = _all_anew([line for line in lines if "kind" not in line])
    exported.write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *rows]))
    result = _verify(run)
    assert result.exit_code == 1
    assert "signed no checkpoint" in result.stderr


@pytest.mark.parametrize("bad", [None, -1, 2**70, [], {"a": 1}, "\ud800", "x\x1b[2J", "2026-11-20T12:00:00"])
def test_no_value_in_any_place_of_an_export_passes_for_true_or_ends_in_a_trace(
    run: Any, exported: Path, bad: Any
) -> None:
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    for number in (0, next(n for n, line in enumerate(lines) if line.get("kind") == "checkpoint"), -1):
        for name in [*lines[number], *lines[number].get("envelope", {})]:
            hostile = json.loads(json.dumps(lines))
            line = hostile[number]
            (line["envelope"] if name in line.get("envelope", {}) else line)[name] = bad
            exported.write_text("".join(json.dumps(line) + "\n" for line in hostile))
            result = _verify(run)
            assert isinstance(result.exception, SystemExit | None), (number, name, result.exception)
            assert "\x1b[2J" not in result.output
            if number == -1:
                assert result.exit_code != 0, name


def test_a_key_that_is_there_twice_is_refused(run: Any, exported: Path) -> None:
    text = exported.read_text().replace('"actor": "ada"', '"actor": "mallory", "actor": "ada"', 1)
    exported.write_text(text)
    result = _verify(run)
    assert result.exit_code == 2
    assert "twice" in result.stderr
