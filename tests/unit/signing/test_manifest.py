import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.errors import VerificationFailed
from signing.keys import ensure_key_file, file_address, open_signer, public_bytes
from signing.manifest import Maker, open_manifest, read_makers, sign_manifest
from storage.errors import InvalidInput

FIRST, SECOND = (
    {"serial_number": "S1", "model": "M", "key_sha256": "ab" * 32},
    {"serial_number": "S2", "model": "M"},
)


def signed(folder: Path, *units: Any) -> tuple[bytes, Maker]:
    path = folder / "maker.pem"
    key = ensure_key_file(path)
    document = sign_manifest("Acme", "B1", "production", units, open_signer(file_address(path), [key]))
    return document, Maker("Acme", key)


@pytest.mark.requirement("F42")
def test_a_list_is_believed_by_its_own_vendors_key_alone(tmp_path: Path) -> None:
    document, maker = signed(tmp_path, FIRST, SECOND)
    found = open_manifest(document, [maker])
    assert (found.vendor, [unit.serial_number for unit in found.units]) == ("Acme", ["S1", "S2"])
    changed = {**json.loads(document), "payload": "e30="}
    for bad, makers in (
        (document, []),
        (document, [Maker("Other", maker.key)]),
        (json.dumps(changed).encode(), [maker]),
    ):
        with pytest.raises(VerificationFailed):
            open_manifest(bad, makers)


@pytest.mark.requirement("F42")
def test_every_unit_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    odd = {"serial_number": "S", "model": "M", "key_sha256": "XY"}
    document, maker = signed(tmp_path, {"serial_number": ""}, 7, odd, {"owner": 1})
    with pytest.raises(InvalidInput) as refused:
        open_manifest(document, [maker])
    told = " ".join(refused.value.problems)
    for number in range(4):
        assert f"units[{number}]" in told
    twice, maker = signed(tmp_path, FIRST, FIRST)
    with pytest.raises(InvalidInput) as refused:
        open_manifest(twice, [maker])
    assert "listed twice" in " ".join(refused.value.problems)


def test_keys_are_pinned_by_files_with_a_name_beside_them(tmp_path: Path) -> None:
    assert read_makers(None) == ()
    key = ensure_key_file(tmp_path / "acme.pem")
    (tmp_path / "acme.pub.json").write_bytes(public_bytes(key))
    with pytest.raises(InvalidInput, match="says whose key"):
        read_makers(tmp_path)
    (tmp_path / "acme.vendor").write_text("Acme\n")
    (maker,) = read_makers(tmp_path)
    assert (maker.vendor, maker.key.keyid) == ("Acme", key.keyid)


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_rubbish_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        open_manifest(data, [])
