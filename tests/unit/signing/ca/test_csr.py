"""What is wrong with a signing request: every reason, for every kind of wrong one."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.ca.csr import MAX_CHARACTERS, CsrPolicy, judge_csr
from signing.ca.ports import Applicant
from tests.support.csrs import ORGANIZATION, SERIAL, csr, forged
from tests.support.pki import usage

pytestmark = pytest.mark.requirement("S53")
WHO = Applicant("CP-1", SERIAL, "Volt", "V2")
ANY, OURS = CsrPolicy(), CsrPolicy((ORGANIZATION, "Other Brand"))
AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
PLACE = x509.SubjectAlternativeName([x509.DNSName("csms.example")])

WRONG = [
    ("another serial", csr("SN-0002"), "the charger that asks is SN-0001 or CP-1"),
    ("CA:TRUE", csr(extensions=(AUTHORITY,)), "it asks to be an authority (CA:TRUE)"),
    ("signs certificates", csr(extensions=(usage("key_cert_sign"),)), "as an authority does"),
    ("weak RSA", csr(kind="rsa1024"), "its key is RSA 1024"),
    ("weak curve", csr(kind="p224"), "its key is on secp224r1"),
    ("odd curve", csr(kind="k256"), "its key is on secp256k1"),
    ("Ed25519", csr(kind="ed25519"), "its key is neither RSA nor EC"),
    ("wrong organization", csr(organizations=("Evil Corp",)), "its organization is 'Evil Corp'"),
    ("no organization", csr(organizations=()), "its organization is missing"),
    ("two organizations", csr(organizations=(ORGANIZATION, "Evil Corp")), "2 organizations"),
    ("two names", csr(SERIAL, "SN-0002"), "2 common names"),
    ("an address", csr("wss://csms.example/ocpp"), "is an address"),
    ("an IP address", csr("10.0.0.1"), "is an address"),
    ("somebody else's key", forged(), "does not hold the key"),
    ("weak hash", csr(algorithm=hashes.SHA224()), "its signature uses sha224"),
    ("no PEM", "hello", "not one signing request"),
    ("two in one", csr() + csr(), "not one signing request"),
    ("huge", csr() + " " * MAX_CHARACTERS, f"{MAX_CHARACTERS} at most"),
    ("cut off", csr()[:200] + "\n-----END CERTIFICATE REQUEST-----\n", "cannot be read"),
]


@pytest.mark.parametrize(("pem", "said"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_what_is_wrong_is_said(pem: str, said: str) -> None:
    problems = judge_csr(pem, WHO, OURS).problems
    assert any(said in problem for problem in problems), problems


def test_every_reason_is_told_not_only_the_first() -> None:
    found = judge_csr(
        csr("SN-2", organizations=("Evil",), kind="rsa1024", extensions=(AUTHORITY,)), WHO, OURS
    )
    assert len(found.problems) == 4, found.problems


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_a_right_one_is_issued_by_serial_number_or_identity(kind: str) -> None:
    for name in (SERIAL, "CP-1"):
        found = judge_csr(csr(name, kind=kind), WHO, OURS)
        assert (found.problems, found.common_name, found.organization) == ((), name, ORGANIZATION)
        assert len(found.key_sha256) == 64


def test_names_of_servers_are_not_taken_over() -> None:
    found = judge_csr(csr(extensions=(PLACE,)), WHO, OURS)
    assert found.problems == ()
    assert found.ignored == ("subjectAltName",)


def test_without_a_rule_any_organization_will_do() -> None:
    assert judge_csr(csr(organizations=("Whoever",)), WHO, ANY).problems == ()
    assert judge_csr(csr(organizations=()), WHO, ANY).problems == ()


@pytest.mark.requirement("F36")
def test_a_name_of_two_chargers_is_nobodys() -> None:
    twins = Applicant("CP-1", SERIAL, "Volt", "V2", namesakes=("CP-9",))
    (problem,) = judge_csr(csr(), twins, ANY).problems
    assert "also that of CP-9" in problem


@given(st.text(max_size=400) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
@settings(max_examples=150)
def test_rubbish_is_refused_and_never_raises(text: str) -> None:
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"
    assert judge_csr(pem, WHO, ANY).problems
    assert judge_csr(text, WHO, ANY).problems
