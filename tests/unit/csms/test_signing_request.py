import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from csms import signing_request
from csms.signing_request import refusal

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SN-0001")])


def request(key: object, algorithm: hashes.HashAlgorithm | None = hashes.SHA256()) -> bytes:  # noqa: B008
    signed = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(key, algorithm)  # type: ignore[arg-type]
    return signed.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "curve", [ec.SECP224R1(), ec.SECP256R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
def test_a_strong_curve_is_taken(curve: ec.EllipticCurve) -> None:
    assert refusal(request(ec.generate_private_key(curve)).decode()) is None


def test_rsa_of_2048_is_taken_and_less_is_not() -> None:
    assert refusal(request(rsa.generate_private_key(65537, 2048)).decode()) is None
    weak = refusal(request(rsa.generate_private_key(65537, 1024)).decode())
    assert weak == "a key of RSA 1024 is too short; 2048 at least"


def test_a_key_whose_check_would_take_long_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_request, "MAX_RSA_BITS", 2048)
    assert refusal(request(rsa.generate_private_key(65537, 2056)).decode()) == (
        "a key of RSA 2056 is too long; 2048 at most"
    )


def test_a_weak_curve_and_another_kind_of_key_are_refused() -> None:
    assert "EC 192" in str(refusal(request(ec.generate_private_key(ec.SECP192R1())).decode()))
    other = request(ed25519.Ed25519PrivateKey.generate(), None)
    assert refusal(other.decode()) == "its key is neither RSA nor EC"


def test_a_request_that_somebody_changed_is_refused() -> None:
    good = x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1())))
    der = good.public_bytes(serialization.Encoding.DER).replace(b"SN-0001", b"SN-0002")
    pem = x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM)
    assert refusal(pem.decode()) == "its signature is not that of its key"


EMPTY = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("text", ["", "none", EMPTY, "\ud800"])
def test_what_is_no_request_is_refused(text: str) -> None:
    assert str(refusal(text)).startswith("not a signing request that can be read")
