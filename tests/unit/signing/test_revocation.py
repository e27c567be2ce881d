"""Which certificates a manufacturer's list takes away, and which lists say nothing (S36)."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from signing.development import DevelopmentManufacturer
from signing.errors import VendorSignatureBad, VerificationFailed
from signing.revocation import MAX_LIST, certificate_subjects, revoked_subjects
from storage.charger import SignatureScheme
from tests.support.crl import revocation_list, serial_of

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.requirement("S36")
@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_a_list_names_the_certificate_that_its_signature_comes_with(leaves, manufacturer, form) -> None:
    pem = leaves[SignatureScheme.ECDSA_P256].certificate
    other = leaves[SignatureScheme.RSA_PSS].certificate
    data = revocation_list(manufacturer, NOON, serial_of(pem), form=form)
    listed = revoked_subjects(data, [manufacturer.root], NOON)
    assert set(listed) & set(certificate_subjects(pem))
    assert not set(listed) & set(certificate_subjects(other))
    assert list(listed.values()) == ["revoked on 2026-05-04 (keyCompromise)"]


@pytest.mark.requirement("S36")
def test_a_list_past_its_next_update_still_revokes(leaves, manufacturer) -> None:
    pem = leaves[SignatureScheme.ECDSA_P256].certificate
    data = revocation_list(manufacturer, NOON, serial_of(pem))
    assert revoked_subjects(data, [manufacturer.root], NOON + timedelta(days=400))


@pytest.mark.requirement("S36")
def test_a_list_that_somebody_else_made_withdraws_nothing(leaves, manufacturer) -> None:
    """Else whoever may upload a list could stop another vendor's releases for good."""
    pem = leaves[SignatureScheme.ECDSA_P256].certificate
    namesake = DevelopmentManufacturer.create("acme", NOON)
    stranger = DevelopmentManufacturer.create("bolt", NOON)
    leaf = DevelopmentManufacturer("acme", leaves[SignatureScheme.ECDSA_P256].key, pem)
    for maker, roots in (
        (namesake, [manufacturer.root]),
        (stranger, [manufacturer.root]),
        (manufacturer, []),
    ):
        with pytest.raises(VerificationFailed, match="no manufacturer's root"):
            revoked_subjects(revocation_list(maker, NOON, serial_of(pem)), roots, NOON)
    with pytest.raises(VerificationFailed, match="no manufacturer's root"):
        revoked_subjects(revocation_list(leaf, NOON, 7), [pem], NOON)


def test_the_same_number_of_another_issuer_is_another_certificate(leaves, manufacturer) -> None:
    stranger = DevelopmentManufacturer.create("bolt", NOON)
    pem = leaves[SignatureScheme.ECDSA_P256].certificate
    data = revocation_list(stranger, NOON, serial_of(pem))
    listed = revoked_subjects(data, [stranger.root, manufacturer.root], NOON)
    assert not set(listed) & set(certificate_subjects(pem))


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(7),
        x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=True,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        ),
    ],
)
def test_a_partial_list_is_refused(manufacturer, extension) -> None:
    data = revocation_list(manufacturer, NOON, 7, extension=extension)
    with pytest.raises(VerificationFailed, match="partial"):
        revoked_subjects(data, [manufacturer.root], NOON)


def test_a_list_from_the_future_and_a_lifted_hold_say_nothing(manufacturer) -> None:
    with pytest.raises(VerificationFailed, match="of the future"):
        revoked_subjects(
            revocation_list(manufacturer, NOON, 7), [manufacturer.root], NOON - timedelta(days=1)
        )
    lifted = revocation_list(manufacturer, NOON, 7, reason=x509.ReasonFlags.remove_from_crl)
    assert revoked_subjects(lifted, [manufacturer.root], NOON) == {}
    unsaid = revocation_list(manufacturer, NOON, 7, reason=None)
    assert list(revoked_subjects(unsaid, [manufacturer.root], NOON).values()) == ["revoked on 2026-05-04"]


@given(st.one_of(st.binary(max_size=200), st.just(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----")))
def test_rubbish_for_a_list_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        revoked_subjects(data, [], NOON)


def test_a_list_beyond_every_measure_is_not_read(manufacturer) -> None:
    with pytest.raises(VerificationFailed, match="longer than"):
        revoked_subjects(b"0" * (MAX_LIST + 1), [manufacturer.root], NOON)


def test_a_certificate_that_cannot_be_read_has_no_name() -> None:
    with pytest.raises(VendorSignatureBad):
        certificate_subjects("PEM")
