"""The charger believes only its manufacturer, in its own scheme."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from csms.simulator.signature import certificate_problem, signature_holds
from storage.charger import SignatureScheme
from tests.support.maker import Maker, found_maker

NOW = datetime(2026, 5, 1, tzinfo=UTC)
IMAGE = b"firmware" * 100
SHA256 = hashlib.sha256(IMAGE).digest()


@pytest.fixture(scope="module")
def manufacturer() -> Maker:
    return found_maker(NOW)


def roots(manufacturer: Maker) -> tuple[x509.Certificate, ...]:
    return (x509.load_pem_x509_certificate(manufacturer.root.encode()),)


@pytest.mark.requirement("S33")
@pytest.mark.parametrize(("signed", "expected"), list(itertools.product(SignatureScheme, repeat=2)))
def test_a_signature_holds_in_its_own_scheme_only(
    manufacturer: Maker, signed: SignatureScheme, expected: SignatureScheme
) -> None:
    signature, _ = manufacturer.sign(signed, IMAGE)
    certificate = manufacturer.leaves[expected].certificate
    assert signature_holds(certificate, expected, signature, SHA256) is (signed is expected)
    assert len(signature) <= 800
    assert len(certificate) <= 5500


@pytest.mark.parametrize("scheme", list(SignatureScheme))
def test_another_file_or_a_garbled_signature_does_not_hold(
    manufacturer: Maker, scheme: SignatureScheme
) -> None:
    signature, certificate = manufacturer.sign(scheme, IMAGE)
    assert not signature_holds(certificate, scheme, signature, hashlib.sha256(b"other").digest())
    assert not signature_holds(certificate, scheme, "not base64!", SHA256)
    assert not signature_holds(certificate, scheme, "", SHA256)


@pytest.mark.parametrize("scheme", list(SignatureScheme))
def test_the_manufacturers_own_certificate_is_believed(manufacturer: Maker, scheme: SignatureScheme) -> None:
    certificate = manufacturer.leaves[scheme].certificate
    assert certificate_problem(certificate, roots(manufacturer), scheme, NOW) is None


def test_everything_else_is_refused_with_a_reason(manufacturer: Maker) -> None:
    scheme = SignatureScheme.ECDSA_P256
    good = manufacturer.leaves[scheme].certificate
    rsa = manufacturer.leaves[SignatureScheme.RSA_PSS].certificate
    # The same name does not make the same manufacturer.
    impostor = found_maker(NOW)
    ours = roots(manufacturer)
    assert "root" in str(certificate_problem(impostor.leaves[scheme].certificate, ours, scheme, NOW))
    assert "root" in str(certificate_problem(good, (), scheme, NOW))
    assert "valid" in str(certificate_problem(good, ours, scheme, NOW + timedelta(days=500)))
    assert "valid" in str(certificate_problem(good, ours, scheme, NOW - timedelta(days=2)))
    assert "key" in str(certificate_problem(rsa, ours, scheme, NOW))
    assert "read" in str(certificate_problem("-----BEGIN", ours, scheme, NOW))
