import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey

from signing.errors import KeyUnavailable, VerificationFailed
from signing.keys import (
    ensure_key_file,
    file_address,
    key_material,
    keyid_of,
    open_signer,
    public_bytes,
    read_public,
    write_new,
)


def test_a_key_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "root-1.pem"
    key = ensure_key_file(path)
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ensure_key_file(path) == key
    assert not write_new(path, b"other", 0o600)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["root-1.pem", "root-1.pub.json"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_the_key_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = ensure_key_file(path)
    command = ["openssl", "pkey", "-in", str(path), "-pubout", "-outform", "DER"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    assert shown == key_material(key)


@pytest.mark.requirement("S3")
def test_key_ids_are_the_hash_of_the_canonical_key(tmp_path: Path) -> None:
    for signer in (CryptoSigner.generate_ed25519(), CryptoSigner.generate_ecdsa()):
        assert signer.public_key.keyid == keyid_of(signer.public_key)
    path = tmp_path / "forged.pub.json"
    key = CryptoSigner.generate_ed25519().public_key
    path.write_bytes(public_bytes(key))
    assert read_public(path) == key
    path.write_text(json.dumps(json.loads(path.read_text()) | {"keyid": "0" * 64}))
    with pytest.raises(KeyUnavailable, match="does not belong"):
        read_public(path)


@pytest.mark.requirement("S2")
def test_one_public_key_is_the_same_however_it_is_written() -> None:
    key = CryptoSigner.generate_ed25519().public_key
    shouted = SSlibKey("other", "ed25519", "ed25519", {"public": key.keyval["public"].upper()})
    assert key_material(shouted) == key_material(key)
    rsa = CryptoSigner.generate_rsa(size=2048).public_key
    padded = SSlibKey("x", "rsa", "rsa-pkcs1v15-sha256", {"public": rsa.keyval["public"] + "\n\n"})
    assert key_material(padded) == key_material(rsa)
    with pytest.raises(VerificationFailed):
        key_material(SSlibKey("x", "ed25519", "ed25519", {"public": "zz"}))


def test_an_address_opens_the_candidate_it_belongs_to(tmp_path: Path) -> None:
    keys = [ensure_key_file(tmp_path / f"{number}.pem") for number in range(3)]
    signer = open_signer(file_address(tmp_path / "1.pem"), keys)
    assert signer.public_key == keys[1]
    keys[1].verify_signature(signer.sign(b"x"), b"x")


def test_a_key_that_does_not_count_open_or_exist_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.pem"
    mine = ensure_key_file(path)
    others = [CryptoSigner.generate_ed25519().public_key for _ in range(2)]
    with pytest.raises(KeyUnavailable, match="none of those") as refused:
        open_signer(file_address(path), others)
    assert "PRIVATE" not in refused.value.diagnostics()
    with pytest.raises(KeyUnavailable, match="no key at"):
        open_signer("file2:/nowhere/at/all.pem", [mine])
    with pytest.raises(KeyUnavailable, match="Say which"):
        open_signer("awskms:alias/x", others)
    with pytest.raises(KeyUnavailable, match="no kind of key address"):
        open_signer("nonsense:x", [mine])
    path.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="open to other users"):
        open_signer(file_address(path), [mine])
    path.chmod(0o600)
    path.write_text("garbage")
    with pytest.raises(KeyUnavailable, match="not an unencrypted"):
        open_signer(file_address(path), [mine])
