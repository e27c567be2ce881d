import base64
import hashlib
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from signing.development import DevelopmentManufacturer, ensure_leaf, ensure_manufacturer
from signing.errors import VendorSignatureBad
from signing.vendor_signature import vendor_signature_problems, verify_vendor_signature
from storage.artifact import VendorSignature
from storage.charger import SignatureScheme

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
IMAGE = b"firmware bytes" * 100
DIGEST = hashlib.sha256(IMAGE).digest()

OPENSSL_OPTIONS = {
    SignatureScheme.ECDSA_P256: [],
    SignatureScheme.RSA_PKCS1V15: [],
    SignatureScheme.RSA_PSS: ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
}
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def openssl(*arguments: str | Path, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, check=False)


@pytest.mark.requirement("S32", "S33")
@pytest.mark.parametrize("scheme", SignatureScheme)
def test_each_scheme_holds_for_its_file_and_for_nothing_else(leaves, manufacturer, scheme) -> None:
    proof = leaves[scheme].sign(IMAGE)
    verify_vendor_signature(proof, DIGEST, NOON, [manufacturer.root])
    with pytest.raises(VendorSignatureBad, match="does not fit the file"):
        verify_vendor_signature(proof, hashlib.sha256(IMAGE + b"!").digest(), NOON)


@pytest.mark.requirement("S33")
@pytest.mark.parametrize("scheme", SignatureScheme)
@needs_openssl
def test_openssl_accepts_what_we_sign_and_we_accept_what_it_signs(leaves, tmp_path, scheme) -> None:
    leaf = leaves[scheme]
    files = {name: tmp_path / name for name in ("image", "key", "public", "signature")}
    files["image"].write_bytes(IMAGE)
    files["key"].write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = openssl("x509", "-pubkey", "-noout", text=leaf.certificate.encode()).stdout
    files["public"].write_bytes(public)
    files["signature"].write_bytes(base64.b64decode(leaf.sign(IMAGE).signature))
    options = OPENSSL_OPTIONS[scheme]
    checked = openssl(
        "dgst",
        "-sha256",
        *options,
        "-verify",
        files["public"],
        "-signature",
        files["signature"],
        files["image"],
    )
    assert checked.stdout.strip() == b"Verified OK"

    made = openssl("dgst", "-sha256", *options, "-sign", files["key"], files["image"]).stdout
    proof = VendorSignature(scheme, base64.b64encode(made).decode(), leaf.certificate)
    assert vendor_signature_problems(proof, DIGEST, NOON) == []


@pytest.mark.requirement("S33")
@needs_openssl
def test_the_script_chargers_ship_takes_pkcs1_and_rejects_pss(leaves, tmp_path) -> None:
    """The stock verifying script calls ``openssl dgst -sha256 -verify`` without a padding option."""
    verdicts = {}
    for scheme, leaf in leaves.items():
        (tmp_path / "public").write_bytes(
            openssl("x509", "-pubkey", "-noout", text=leaf.certificate.encode()).stdout
        )
        (tmp_path / "signature").write_bytes(base64.b64decode(leaf.sign(IMAGE).signature))
        files = ["-verify", tmp_path / "public", "-signature", tmp_path / "signature"]
        verdicts[scheme] = openssl("dgst", "-sha256", *files, text=IMAGE).returncode == 0
    assert verdicts == {
        SignatureScheme.ECDSA_P256: True,
        SignatureScheme.RSA_PKCS1V15: True,
        SignatureScheme.RSA_PSS: False,
    }


@pytest.mark.requirement("S33")
def test_the_scheme_is_never_guessed_but_the_right_one_is_named(leaves) -> None:
    proof = leaves[SignatureScheme.RSA_PKCS1V15].sign(IMAGE)
    (problem,) = vendor_signature_problems(replace(proof, scheme=SignatureScheme.RSA_PSS), DIGEST, NOON)
    assert problem == "the signature is rsa-pkcs1v15-sha256, not rsa-pss-sha256"
    proof = leaves[SignatureScheme.ECDSA_P256].sign(IMAGE)
    (problem,) = vendor_signature_problems(replace(proof, scheme=SignatureScheme.RSA_PSS), DIGEST, NOON)
    assert "ecdsa-p256-sha256" in problem


@pytest.mark.requirement("S33")
@pytest.mark.parametrize("salt", [0, 20, padding.PSS.MAX_LENGTH])
def test_a_pss_salt_that_some_chargers_refuse_is_refused_with_the_reason(leaves, salt) -> None:
    leaf = leaves[SignatureScheme.RSA_PSS]
    assert isinstance(leaf.key, rsa.RSAPrivateKey)
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=salt)
    signature = base64.b64encode(leaf.key.sign(IMAGE, scheme, hashes.SHA256())).decode()
    proof = VendorSignature(SignatureScheme.RSA_PSS, signature, leaf.certificate)
    (problem,) = vendor_signature_problems(proof, DIGEST, NOON)
    assert "salt is not 32 bytes" in problem


@pytest.mark.requirement("S32")
@pytest.mark.parametrize("scheme", SignatureScheme)
def test_a_flipped_bit_in_signature_or_certificate_is_refused(leaves, manufacturer, scheme) -> None:
    proof = leaves[scheme].sign(IMAGE)
    raw = bytearray(base64.b64decode(proof.signature))
    for position in range(0, len(raw), max(1, len(raw) // 8)):
        raw[position] ^= 1
        flipped = replace(proof, signature=base64.b64encode(raw).decode())
        assert vendor_signature_problems(flipped, DIGEST, NOON, [manufacturer.root])
        raw[position] ^= 1
    der = bytearray(x509.load_pem_x509_certificate(proof.certificate.encode()).public_bytes(Encoding.DER))
    for position in range(4, len(der), len(der) // 24):
        der[position] ^= 1
        body = base64.b64encode(der).decode()
        pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
        flipped = replace(proof, certificate=pem)
        assert vendor_signature_problems(flipped, DIGEST, NOON, [manufacturer.root]), position
        der[position] ^= 1


@pytest.mark.requirement("S35")
def test_the_certificate_must_chain_to_this_manufacturers_root(leaves, manufacturer) -> None:
    proof = leaves[SignatureScheme.ECDSA_P256].sign(IMAGE)
    stranger = DevelopmentManufacturer.create("bolt", NOON)
    namesake = DevelopmentManufacturer.create("acme", NOON)
    for roots in ([stranger.root], [namesake.root], [proof.certificate]):
        with pytest.raises(VendorSignatureBad, match="does not chain"):
            verify_vendor_signature(proof, DIGEST, NOON, roots)
    verify_vendor_signature(proof, DIGEST, NOON, [stranger.root, manufacturer.root])


@pytest.mark.requirement("S35")
def test_a_signing_certificate_cannot_issue_another(leaves) -> None:
    """Somebody with one firmware key must not be able to mint more, even if it is listed as a root."""
    leaf = leaves[SignatureScheme.ECDSA_P256]
    issuer = x509.load_pem_x509_certificate(leaf.certificate.encode()).subject
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(issuer, x509.Name([]), key.public_key(), 7)
    builder = builder.not_valid_before(NOON).not_valid_after(NOON + timedelta(days=1))
    minted = builder.add_extension(*GOOD_USAGE).sign(leaf.key, hashes.SHA256())
    signature = base64.b64encode(key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))).decode()
    pem = minted.public_bytes(Encoding.PEM).decode()
    proof = VendorSignature(SignatureScheme.ECDSA_P256, signature, pem)
    assert vendor_signature_problems(proof, DIGEST, NOON) == []
    (problem,) = vendor_signature_problems(proof, DIGEST, NOON, [leaf.certificate])
    assert "does not chain" in problem


@pytest.mark.requirement("S35")
def test_certificates_hold_only_within_their_time(manufacturer) -> None:
    leaf = manufacturer.leaf(SignatureScheme.ECDSA_P256, NOON, life=timedelta(days=2))
    proof = leaf.sign(IMAGE)
    assert vendor_signature_problems(proof, DIGEST, NOON) == []
    assert "expired" in vendor_signature_problems(proof, DIGEST, NOON + timedelta(days=3))[0]
    assert "not valid before" in vendor_signature_problems(proof, DIGEST, NOON - timedelta(days=2))[0]
    eternal = manufacturer.leaf(SignatureScheme.ECDSA_P256, NOON, life=timedelta(days=9999)).sign(IMAGE)
    later = NOON + timedelta(days=4000)
    (problem,) = vendor_signature_problems(eternal, DIGEST, later, [manufacturer.root])
    assert problem.startswith("the manufacturer's root expired")


def certify(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *extensions: tuple[x509.ExtensionType, bool]
) -> str:
    """A self-made certificate with just these extensions."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOON - timedelta(days=1)).not_valid_after(NOON + timedelta(days=9))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def usage(*, digital_signature: bool) -> x509.KeyUsage:
    rest = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only"), False
    )
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_encipherment=not digital_signature,
        key_cert_sign=False,
        decipher_only=False,
        **rest,
    )


GOOD_USAGE = (usage(digital_signature=True), True)


@pytest.mark.requirement("S35")
@pytest.mark.parametrize(
    ("key", "extensions", "words"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), [], "digitalSignature"),
        (
            lambda: ec.generate_private_key(ec.SECP256R1()),
            [(usage(digital_signature=False), True)],
            "digitalSignature",
        ),
        (
            lambda: ec.generate_private_key(ec.SECP256R1()),
            [GOOD_USAGE, (x509.BasicConstraints(ca=True, path_length=None), True)],
            "a CA's",
        ),
        (
            lambda: ec.generate_private_key(ec.SECP256R1()),
            [GOOD_USAGE, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)],
            "unknown critical extension 1.2.3.4",
        ),
        (lambda: ec.generate_private_key(ec.SECP384R1()), [GOOD_USAGE], "secp384r1"),
        (lambda: rsa.generate_private_key(65537, 1024), [GOOD_USAGE], "1024 bits"),
    ],
)
def test_a_certificate_that_must_not_sign_firmware_is_refused(
    key: Callable[[], ec.EllipticCurvePrivateKey], extensions: list[tuple], words: str
) -> None:
    private = key()
    if isinstance(private, rsa.RSAPrivateKey):
        scheme, signature = (
            SignatureScheme.RSA_PKCS1V15,
            private.sign(IMAGE, padding.PKCS1v15(), hashes.SHA256()),
        )
    else:
        scheme, signature = SignatureScheme.ECDSA_P256, private.sign(IMAGE, ec.ECDSA(hashes.SHA256()))
    proof = VendorSignature(scheme, base64.b64encode(signature).decode(), certify(private, *extensions))
    assert any(words in problem for problem in vendor_signature_problems(proof, DIGEST, NOON))


@pytest.mark.requirement("S34")
def test_fields_that_ocpp_cannot_carry_are_named(leaves, manufacturer) -> None:
    proof = leaves[SignatureScheme.ECDSA_P256].sign(IMAGE)
    long = replace(proof, signature="A" * 1368)  # an RSA-8192 signature
    assert "OCPP allows 800" in vendor_signature_problems(long, DIGEST, NOON)[0]
    chain = replace(proof, certificate=proof.certificate + manufacturer.root)
    assert "no chain" in vendor_signature_problems(chain, DIGEST, NOON)[0]
    padded = proof.certificate.replace("-----END", "\n" * 5500 + "-----END")
    assert (
        "OCPP allows 5500" in vendor_signature_problems(replace(proof, certificate=padded), DIGEST, NOON)[0]
    )


@pytest.mark.requirement("S34", "S35")
def test_a_post_quantum_signature_does_not_fit_and_its_key_is_of_no_use_yet(manufacturer) -> None:
    """ML-DSA-44: 3,228 characters where OCPP has room for 800."""
    key = mldsa.MLDSA44PrivateKey.generate()
    issuer = x509.load_pem_x509_certificate(manufacturer.root.encode()).subject
    builder = x509.CertificateBuilder(issuer, issuer, key.public_key(), 7)
    builder = builder.not_valid_before(NOON).not_valid_after(NOON + timedelta(days=9))
    certificate = builder.add_extension(*GOOD_USAGE).sign(manufacturer.key, hashes.SHA256())
    pem = certificate.public_bytes(Encoding.PEM).decode()
    proof = VendorSignature(SignatureScheme.ECDSA_P256, base64.b64encode(key.sign(IMAGE)).decode(), pem)
    problems = vendor_signature_problems(proof, DIGEST, NOON, [manufacturer.root])
    assert "the signature has 3228 characters, OCPP allows 800" in problems
    assert "the certificate's key is neither RSA nor P-256" in problems


@pytest.mark.parametrize(
    "certificate", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_rubbish_for_a_certificate_is_a_problem_not_a_crash(leaves, certificate) -> None:
    proof = leaves[SignatureScheme.ECDSA_P256].sign(IMAGE)
    assert vendor_signature_problems(replace(proof, certificate=certificate), DIGEST, NOON)


@pytest.mark.parametrize("signature", ["", "%%%", "AAAA", "=" * 10])
@pytest.mark.parametrize("scheme", SignatureScheme)
def test_rubbish_for_a_signature_is_a_problem_not_a_crash(leaves, scheme, signature) -> None:
    proof = replace(leaves[scheme].sign(IMAGE), signature=signature)
    assert vendor_signature_problems(proof, DIGEST, NOON)


def test_a_development_manufacturer_is_kept_in_its_owners_files(tmp_path: Path) -> None:
    first = ensure_manufacturer(tmp_path, "acme", NOON)
    again = ensure_manufacturer(tmp_path, "acme", NOON + timedelta(days=1))
    assert first.root == again.root
    leaf = ensure_leaf(tmp_path, again, SignatureScheme.ECDSA_P256, NOON)
    assert ensure_leaf(tmp_path, first, SignatureScheme.ECDSA_P256, NOON).certificate == leaf.certificate
    verify_vendor_signature(leaf.sign(IMAGE), DIGEST, NOON, [first.root])
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
