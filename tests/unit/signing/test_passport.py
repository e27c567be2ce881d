"""A passport holds wherever the public key is, and nothing in it can be changed."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signing.errors import VerificationFailed
from signing.keys import read_public
from signing.testimony import open_testimony
from storage.canonical import canonical_json
from tests.support.passports import facts, signed_passport

ROOT = Path(__file__).parents[3]


def elsewhere(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, in a folder without our data, settings or home."""
    (folder / "home").mkdir(exist_ok=True)
    clean = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", "from api.cli.main import main; main()", *arguments],
        cwd=folder,
        env=clean | {"HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_it_is_checked_on_a_machine_that_has_nothing_of_ours(tmp_path: Path) -> None:
    keys, there = tmp_path / "signer", tmp_path / "there"
    keys.mkdir()
    there.mkdir()
    document = await signed_passport(keys, facts(updates=30, retired=True))
    (there / "p.json").write_bytes(document)
    (there / "record.pub.json").write_bytes((keys / "record.pub.json").read_bytes())
    shown = elsewhere(there, "charger", "verify-passport", "p.json", "--key", "record.pub.json")
    assert shown.returncode == 0, shown.stderr
    assert "The signature holds" in shown.stdout
    assert "Updates: 30" in shown.stdout


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every single value."""
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed_at(said: Any, path: tuple[Any, ...]) -> Any:
    copy = json.loads(json.dumps(said))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = "forged" if place[path[-1]] != "forged" else None
    return copy


async def test_no_field_of_it_can_be_changed(tmp_path: Path) -> None:
    document = await signed_passport(tmp_path, facts(retired=True))
    key = read_public(tmp_path / "record.pub.json")
    said = open_testimony(document, {key.keyid: key}).said
    envelope, places = json.loads(document), list(leaves(said))
    assert len(places) > 70
    for path in places:
        payload = base64.b64encode(canonical_json(changed_at(said, path))).decode()
        with pytest.raises(VerificationFailed):
            open_testimony(canonical_json({**envelope, "payload": payload}), {key.keyid: key})
    kind = envelope["payloadType"].replace("firmware-passport", "retirement-receipt")
    with pytest.raises(VerificationFailed):
        open_testimony(canonical_json({**envelope, "payloadType": kind}), {key.keyid: key})
