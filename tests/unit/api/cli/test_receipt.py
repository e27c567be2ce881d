"""A receipt is checked where there is nothing of ours: no database, no settings, only the public key."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from signing.keys import ensure_key_file, file_address, public_bytes
from signing.notary import RecordKeys
from signing.testimony import TestimonyDesk
from storage.retirement import RECEIPT, receipt_key
from tests.support.memory import MemoryBlobs

SAID = {
    "charger": {
        "charger_id": "CP-1",
        "vendor": "Volt",
        "model": "V2",
        "serial_number": "SN-1",
        "site_id": "s1",
    },
    "requested": {"by": "sam@test", "reason": "sold"},
    "retired_at": "2026-11-25T12:00:00+00:00",
    "steps": [{"step": "cache", "state": "unreached", "detail": "it is not connected"}],
    "tombstones": {"certificate": 1},
    "wiped": "unwiped",
}


async def written(folder: Path) -> tuple[Path, Path]:
    """A receipt and the public key, alone in a folder."""
    private = folder.parent / "signer" / "record.pem"
    private.parent.mkdir()
    key = ensure_key_file(private)
    blobs = MemoryBlobs()
    keys = RecordKeys(file_address(private), (key,))
    sha256 = await TestimonyDesk(blobs, lambda: keys).testify(RECEIPT, SAID)
    document, _ = await blobs.get(receipt_key(sha256), limit=10**6)
    receipt, public = folder / "receipt.json", folder / "theirs.pub.json"
    receipt.write_bytes(document)
    public.write_bytes(public_bytes(key))
    return receipt, public


def elsewhere(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Another machine, as far as a process can tell: no variable of ours, nothing in its folder but these."""
    program = "import sys; from api.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={"HOME": str(folder), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.requirement("F47")
async def test_a_receipt_verifies_on_a_machine_without_anything_of_ours(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    receipt, public = await written(there)
    told = elsewhere(there, "receipt", "verify", receipt.name, "--key", public.name, "--charger", "CP-1")
    assert told.returncode == 0, told.stderr
    assert "The signature holds" in told.stdout
    assert "unwiped" in told.stdout
    envelope = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**envelope, "payload": envelope["payload"].swapcase()}))
    forged = elsewhere(there, "receipt", "verify", receipt.name, "--key", public.name)
    assert forged.returncode != 0
    assert "holds" not in forged.stdout
    assert sorted(path.name for path in there.iterdir()) == ["receipt.json", "theirs.pub.json"]
