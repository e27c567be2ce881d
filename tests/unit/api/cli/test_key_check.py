"""``ampwave key check`` and ``sign-image`` on key files; tokens are in the integration tests."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signing.development import DevelopmentManufacturer
from signing.keys import ensure_key_file
from storage.charger import SignatureScheme
from storage.clock import system_clock


def test_a_key_is_named_and_signs(run: Any, home: Path) -> None:
    key = ensure_key_file(home / "ada.pem")
    found = json.loads(run("key", "check", f"file2:{home / 'ada.pem'}", "--json").stdout)
    del found["milliseconds"]
    assert found == {
        "keyid": key.keyid,
        "kind": "ed25519",
        "holder": "a file",
        "process": "a person's command line",
        "roles": [],
        "address": f"file2:{home / 'ada.pem'}",
        "signs": True,
    }


def test_a_key_that_is_not_the_public_half_given_does_not_pass(run: Any, home: Path) -> None:
    ensure_key_file(home / "ada.pem")
    ensure_key_file(home / "bob.pem")
    given = ["--public", str(home / "bob.pub.json")]
    checked = run("key", "check", f"file2:{home / 'ada.pem'}", *given)
    assert checked.exit_code == 1
    assert "none of those that count here" in checked.stderr


def test_the_signers_keys_are_listed_with_their_process(run: Any, home: Path, monkeypatch: Any) -> None:
    ensure_key_file(home / "snap.pem")
    monkeypatch.setenv("AMPWAVE_SIGNER_SNAPSHOT", f"file2:{home / 'snap.pem'}")
    monkeypatch.setenv("AMPWAVE_SIGNER_DIRECTIVE", "gcpkms:projects/x")
    snapshot, directive = json.loads(run("key", "list", "--json").stdout)
    assert (snapshot["name"], snapshot["process"], snapshot["kind"]) == (
        "snapshot",
        "ampwave signer",
        "ed25519",
    )
    assert directive["keyid"] == ""
    assert "ampwave[gcpkms]" in directive["problem"]


@pytest.mark.requirement("S33")
@pytest.mark.parametrize("scheme", SignatureScheme)
def test_an_image_is_signed_as_its_chargers_verify_it(run: Any, home: Path, scheme: SignatureScheme) -> None:
    leaf = DevelopmentManufacturer.create("acme", system_clock()).leaf(scheme, system_clock(), rsa_bits=2048)
    (home / "fw.pem").write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (home / "fw.pem").chmod(0o600)
    (home / "cert.pem").write_text(leaf.certificate)
    (home / "image").write_bytes(b"firmware" * 1000)
    options = ["--key", f"file2:{home / 'fw.pem'}", "--certificate", "cert.pem", "--scheme", scheme.value]
    made = run("key", "sign-image", "image", *options, "--out", "image.sig")
    assert made.exit_code == 0, made.stderr
    (home / "raw").write_bytes(
        subprocess.run(["base64", "-d", "image.sig"], capture_output=True, check=True).stdout
    )
    public = subprocess.run(
        ["openssl", "x509", "-pubkey", "-noout", "-in", "cert.pem"], capture_output=True, check=True
    )
    (home / "public").write_bytes(public.stdout)
    pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    command = ["openssl", "dgst", "-sha256", *(pss if scheme is SignatureScheme.RSA_PSS else [])]
    verified = subprocess.run(
        [*command, "-verify", "public", "-signature", "raw", "image"], capture_output=True, check=False
    )
    assert verified.stdout.strip() == b"Verified OK"
    assert run("key", "sign-image", "image", *options, "--out", "image.sig").exit_code == 2


@pytest.mark.requirement("S33", "S35")
def test_a_signature_that_no_charger_would_accept_is_not_made(run: Any, home: Path) -> None:
    maker = DevelopmentManufacturer.create("acme", system_clock())
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    (home / "fw.pem").write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (home / "fw.pem").chmod(0o600)
    (home / "cert.pem").write_text(leaf.certificate)
    (home / "ca.pem").write_text(maker.root)
    (home / "image").write_bytes(b"firmware")
    key = ["--key", f"file2:{home / 'fw.pem'}", "--out", "x.sig"]
    for certificate, scheme, words in (
        ("cert.pem", "rsa-pss-sha256", "no key for rsa-pss"),
        ("ca.pem", "ecdsa-p256-sha256", "a CA's"),
        ("image", "ecdsa-p256-sha256", "not one PEM"),
        ("cert.pem", "md5", "not a signature scheme"),
    ):
        refused = run("key", "sign-image", "image", *key, "--certificate", certificate, "--scheme", scheme)
        assert refused.exit_code != 0
        assert words in refused.stderr
    assert not (home / "x.sig").exists()
