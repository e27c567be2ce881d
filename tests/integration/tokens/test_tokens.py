"""Keys on a PKCS#11 token: SoftHSM2 has the manners of a real one, its thread troubles included."""

import hashlib
import itertools
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import KeyType
from securesystemslib.signer import SSlibKey

from signing import tokens
from signing.errors import KeyUnavailable
from signing.keys import key_material, open_signer, public_of
from signing.tokens import create_on_token, sign_digest_on_token
from storage.charger import SignatureScheme
from tests.support.softhsm import PIN, SoftHsm

IMAGE = b"firmware bytes" * 100
DIGEST = hashlib.sha256(IMAGE).digest()
_ids = itertools.count(100)


@pytest.fixture
def address() -> str:
    """Of a place on the token where nothing is yet."""
    return f"hsm:{next(_ids)}?label=ampwave"


@pytest.fixture
def made(token: SoftHsm, address: str) -> str:
    """The address of a new key."""
    create_on_token(address, "a test")
    return address


def test_a_key_made_on_the_token_signs_and_stays_there(made: str, token: SoftHsm) -> None:
    key = public_of(made)
    signature = open_signer(made, [key]).sign(b"metadata")
    key.verify_signature(signature, b"metadata")
    with pkcs11.lib(str(token.module)).get_token(token_label="ampwave").open(user_pin=PIN) as session:
        where = tokens.TokenAddress.parse(made)
        private = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, KeyType.EC, id=where.id_bytes)
        assert not private[pkcs11.Attribute.EXTRACTABLE]


def test_a_key_is_never_overwritten(made: str) -> None:
    before = key_material(public_of(made))
    with pytest.raises(KeyUnavailable, match="is taken"):
        create_on_token(made, "again")
    assert key_material(public_of(made)) == before


def test_the_token_tells_which_of_several_keys_it_is(made: str, token: SoftHsm) -> None:
    second = f"hsm:{next(_ids)}?label=ampwave"
    create_on_token(second, "second")
    keys = [public_of(made), public_of(second)]
    assert open_signer(second, keys).public_key.keyid == keys[1].keyid
    with pytest.raises(KeyUnavailable, match="none of those that count"):
        open_signer(f"hsm:{next(_ids)}?label=ampwave", []).sign(b"x")


@pytest.mark.requirement("S63")
def test_eight_callers_at_once_get_every_signature(made: str) -> None:
    """Without the lock most of them fail: the library has one login for all sessions."""
    key = public_of(made)
    signer = open_signer(made, [key])

    def sign(number: int) -> bool:
        signature = signer.sign(str(number).encode())
        key.verify_signature(signature, str(number).encode())
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign, range(160))) == [True] * 160


@pytest.mark.requirement("S64")
def test_a_wrong_pin_is_tried_once_and_never_again(softhsm: SoftHsm, token: SoftHsm, made: str) -> None:
    """A token locks itself after a few: jobs that repeat must not use them up."""
    asked: list[int] = []

    def wrong() -> str:
        asked.append(1)
        return "0000"

    key = public_of(made)
    tokens.use(tokens.TokenAccess(softhsm.module, wrong))
    signer = open_signer(made, [key])
    for _ in range(20):
        with pytest.raises(KeyUnavailable) as refused:
            signer.sign(b"x")
        assert "PIN" in refused.value.message
        assert "0000" not in refused.value.diagnostics()
    assert len(asked) == 1
    tokens.use(tokens.TokenAccess(softhsm.module, lambda: PIN))
    key.verify_signature(signer.sign(b"x"), b"x")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hsm:7?label=nobody", "No PKCS#11 token found|NoSuchToken"),
        ("hsm:9999?label=ampwave", "has no keys"),
        ("hsm:x", "is hsm:<number>"),
        ("hsm:-3", "is hsm:<number>"),
        ("hsm:99999999999999", "is hsm:<number>"),
        ("hsm:2?label=ampwave&pin=8642", "more than where the key is"),
        ("hsm:2?PIN=8642", "more than where the key is"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_words(token: SoftHsm, address: str, words: str) -> None:
    with pytest.raises(KeyUnavailable, match=words) as refused:
        public_of(address)
    assert PIN not in refused.value.diagnostics()


def test_without_a_module_or_a_pin_the_setting_is_named(softhsm: SoftHsm, made: str, monkeypatch) -> None:
    key = public_of(made)
    tokens.use(tokens.TokenAccess(softhsm.module))
    with pytest.raises(KeyUnavailable) as refused:
        open_signer(made, [key]).sign(b"x")
    assert "AMPWAVE_PKCS11_PIN_FILE" in refused.value.diagnostics()
    monkeypatch.delenv("PYKCS11LIB")
    with pytest.raises(KeyUnavailable) as refused:
        public_of(made)
    assert "AMPWAVE_PKCS11_MODULE" in refused.value.diagnostics()


@pytest.mark.requirement("S33", "S39")
@pytest.mark.parametrize("scheme", SignatureScheme)
def test_openssl_accepts_a_firmware_signature_that_the_token_made_over_a_digest(
    token: SoftHsm, tmp_path: Path, scheme: SignatureScheme
) -> None:
    number = next(_ids)
    address = f"hsm:{number}?label=ampwave"
    if scheme is SignatureScheme.ECDSA_P256:
        create_on_token(address, "firmware")
    else:
        with (
            pkcs11.lib(str(token.module))
            .get_token(token_label="ampwave")
            .open(rw=True, user_pin=PIN) as session
        ):
            session.generate_keypair(KeyType.RSA, 2048, id=bytes([number]), label="firmware", store=True)
    (tmp_path / "public").write_text(public_of(address).keyval["public"])
    (tmp_path / "image").write_bytes(IMAGE)
    (tmp_path / "signature").write_bytes(sign_digest_on_token(address, scheme, DIGEST))
    options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    command = ["openssl", "dgst", "-sha256", *(options if scheme is SignatureScheme.RSA_PSS else [])]
    command += ["-verify", str(tmp_path / "public"), "-signature", str(tmp_path / "signature")]
    checked = subprocess.run([*command, str(tmp_path / "image")], capture_output=True, check=False)
    assert checked.stdout.strip() == b"Verified OK"


def test_nothing_but_a_digest_goes_to_the_token(made: str) -> None:
    with pytest.raises(KeyUnavailable, match="Only a SHA-256 digest"):
        sign_digest_on_token(made, SignatureScheme.ECDSA_P256, IMAGE)


def test_a_key_of_the_wrong_kind_says_so(made: str) -> None:
    with pytest.raises(KeyUnavailable, match="no key for rsa-pss"):
        sign_digest_on_token(made, SignatureScheme.RSA_PSS, DIGEST)


def test_the_public_half_is_the_one_that_metadata_lists(made: str) -> None:
    key = public_of(made)
    assert isinstance(key, SSlibKey)
    assert (key.keytype, key.scheme) == ("ecdsa", "ecdsa-sha2-nistp256")
