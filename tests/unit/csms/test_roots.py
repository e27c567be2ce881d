"""What is a root, and how chargers name it."""

import pytest
from cryptography import x509

from csms.pki.roots import root_hashes, root_problem
from storage.certificate_use import HashAlgorithm
from storage.renewal import spelled
from tests.support.pki import DAY, NOW, Authority

pytestmark = pytest.mark.requirement("S60")


def pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def test_only_a_root_is_one() -> None:
    root = Authority.root("Root", NOW)
    good, leaf = pem(root.certificate), pem(root.leaf("CP-1").certificate)
    assert root_problem(good, NOW) == ""
    for text, said in (
        (leaf, "it is no root: it was issued by"),
        (good + leaf, "not one certificate"),
        ("", "not one certificate"),
        (good.replace("MII", "AAA", 1), "cannot be read"),
        (good + "x" * 6000, "5500 at most"),
    ):
        assert said in root_problem(text, NOW)
    assert "it holds from" in root_problem(good, NOW + 20_000 * DAY)


def test_a_charger_names_it_by_any_hash_and_in_any_spelling() -> None:
    names = root_hashes(pem(Authority.root("Root", NOW).certificate))
    assert [each.algorithm for each in names] == list(HashAlgorithm)
    first = names[0]
    from dataclasses import replace

    loud = replace(
        first,
        issuer_key_hash=first.issuer_key_hash.upper(),
        serial_number=f"00{first.serial_number.upper()}",
    )
    assert spelled(loud) == spelled(first)
