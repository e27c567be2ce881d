"""Path validation against certificates that are wrong in one way each."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.pki.certificates import parse
from csms.pki.path import CertificatePath, Untrusted, find_path
from tests.support.pki import DAY, NOW, Authority, Issued, key, usage

ROOT = Authority.root()
SUB = ROOT.sub()
EKU = x509.ExtendedKeyUsage
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def judge(leaf: Issued, *anchors: Authority, at: Any = NOW) -> CertificatePath | Untrusted:
    return find_path(leaf.certificate, leaf.chain, [each.certificate for each in anchors or (ROOT,)], at)


@pytest.mark.requirement("S55", "F37")
@pytest.mark.parametrize(
    "leaf",
    [
        ROOT.leaf("CP-1"),
        SUB.leaf("CP-1"),
        ROOT.leaf("CP-1", key=key("rsa2048")),
        ROOT.leaf("CP-1", extensions=[(EKU([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]),
        ROOT.leaf("CP-1", ca=None, key_usage=None),
        ROOT.leaf("CP-1", extensions=[(UNKNOWN, False)]),
        ROOT.leaf("CP-1", digest=hashes.SHA384()),
    ],
    ids=["plain", "below a sub authority", "rsa", "client auth", "bare", "unknown, not critical", "sha384"],
)
def test_a_chargers_certificate_needs_no_alternative_name_and_no_extended_usage(leaf: Issued) -> None:
    path = judge(leaf)
    assert isinstance(path, CertificatePath), path
    assert (path.common_name, path.serial_number) == ("CP-1", leaf.serial)
    assert path.issuers[-1] == ROOT.certificate


@pytest.mark.requirement("S55")
@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (ROOT.leaf("CP-1", until=-timedelta(seconds=1)), "expired on 2026-11-20"),
        (ROOT.leaf("CP-1", since=timedelta(seconds=1)), "not valid before 2026-11-20"),
        (Authority.root("Stranger").leaf("CP-1"), "issuer 'CN=Stranger' is not trusted"),
        (Authority.root(key=key("ec", "forger")).leaf("CP-1"), "not signed by the key of 'CN=Charger CA'"),
        (ROOT.leaf("CP-1", ca=True), "a certificate of an authority"),
        (ROOT.leaf("CP-1", key_usage=usage("digital_signature", "key_cert_sign")), "usage is that of"),
        (ROOT.leaf("CP-1", key_usage=usage("key_encipherment")), "does not allow signatures"),
        (ROOT.leaf("CP-1", extensions=[(EKU([ExtendedKeyUsageOID.SERVER_AUTH]), False)]), "client auth"),
        (ROOT.leaf("CP-1", extensions=[(UNKNOWN, True)]), "critical extension 1.3.6.1.4.1.99999.1"),
        (ROOT.leaf("CP-1", key=key("rsa1024")), "only 1024 bits"),
        (ROOT.leaf("CP-1", key=key("ec192")), "only 192 bits"),
        (ROOT.leaf("CP-1", "CP-2"), "no single common name"),
        (ROOT.leaf(" "), "no single common name"),
    ],
)
def test_what_is_wrong_with_the_certificate_is_said(leaf: Issued, reason: str) -> None:
    verdict = judge(leaf)
    assert isinstance(verdict, Untrusted)
    assert reason in verdict.reason


def _below(*subs: Authority) -> Issued:
    """A leaf of the last one; each was issued by the one before."""
    issued = subs[-1].leaf("CP-1")
    return Issued(issued.certificate, issued.key, tuple(each.certificate for each in subs))


def _tower(height: int, **options: Any) -> Issued:
    subs = [ROOT.sub("Sub 1", **options)]
    for number in range(2, height + 1):
        subs.append(subs[-1].sub(f"Sub {number}"))
    return _below(*subs)


NOT_CA = ROOT.leaf("Intermediate", key=key("ec", "Intermediate"))


@pytest.mark.requirement("S55")
@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (_below(Authority(NOT_CA, NOW)), "it is no authority"),
        (_below(ROOT.sub(key_usage=usage("crl_sign"))), "does not allow it to issue"),
        (_below(ROOT.sub(until=-timedelta(hours=1))), "expired"),
        (_below(ROOT.sub(key=key("rsa1024"))), "only 1024 bits"),
        (
            _below(ROOT.sub(extensions=[(x509.NameConstraints([x509.DNSName("x")], None), False)])),
            "name constraints",
        ),
        (_tower(2, path_length=0), "path length"),
        (_tower(4), "more than 4 certificates"),
        (Issued(SUB.leaf("CP-1").certificate, None), "'CN=Charger Sub CA' is not trusted"),
    ],
)
def test_what_is_wrong_with_an_issuer_is_said(leaf: Issued, reason: str) -> None:
    verdict = judge(leaf)
    assert isinstance(verdict, Untrusted)
    assert reason in verdict.reason


def test_the_longest_path_that_is_allowed_holds() -> None:
    path = judge(_tower(3))
    assert isinstance(path, CertificatePath)
    assert len(path.issuers) == 4


def test_a_sub_authority_may_be_trusted_by_itself() -> None:
    path = judge(Issued(SUB.leaf("CP-1").certificate, None), SUB)
    assert isinstance(path, CertificatePath)
    assert path.issuers == (SUB.certificate,)


def test_a_sha1_signature_is_too_weak() -> None:
    """The library no longer makes one, so the name of the algorithm inside a good one is changed."""
    rsa_root = Authority.root("RSA CA", key=key("rsa2048", "root"))
    der = rsa_root.leaf("CP-1").der
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    assert der.count(sha256) == 2
    weak = x509.load_der_x509_certificate(der.replace(sha256, sha1))
    verdict = find_path(weak, (), [rsa_root.certificate], NOW)
    assert verdict == Untrusted("its signature uses sha1, which is too weak")


def test_many_authorities_of_one_name_cost_bounded_work() -> None:
    twins = [Authority.root("Twin", key=key("ec", f"twin {number}")) for number in range(40)]
    verdict = find_path(twins[-1].leaf("CP-1").certificate, (), [each.certificate for each in twins], NOW)
    assert isinstance(verdict, Untrusted)


GENUINE = ROOT.leaf("CP-1").der


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GENUINE) - 1), st.integers(1, 255))
def test_a_certificate_that_was_tampered_with_is_never_trusted(place: int, flip: int) -> None:
    """Every signed byte counts; nothing but a verdict comes out."""
    certificate = parse(tampered(place, flip))
    if certificate is None:
        return
    signed = parse(GENUINE)
    assert signed is not None
    # How a signature is written down is not signed: unused bits at its end may be counted or not.
    intact = certificate.tbs_certificate_bytes == signed.tbs_certificate_bytes
    assert intact or isinstance(find_path(certificate, (), [ROOT.certificate], NOW), Untrusted)


def tampered(place: int, flip: int) -> bytes:
    der = bytearray(GENUINE)
    der[place] ^= flip
    return bytes(der)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GENUINE) - 1), st.integers(1, 255))
def test_what_a_charger_presents_besides_spoils_nothing(place: int, flip: int) -> None:
    """TLS hands over whatever stands beside the charger's own certificate, read or unread."""
    beside = parse(tampered(place, flip))
    leaf = ROOT.leaf("CP-1").certificate
    verdict = find_path(leaf, () if beside is None else (beside,), [ROOT.certificate], NOW)
    assert isinstance(verdict, CertificatePath)


def test_a_name_that_the_library_stumbles_over_spoils_nothing() -> None:
    """A text that is a string of bits in a name is read by nobody, and raises what nobody expects."""
    place = GENUINE.index(b"\x0c\x04CP-1")
    odd = parse(tampered(place, 0x0C ^ 0x03))
    leaf = ROOT.leaf("CP-1").certificate
    assert odd is not None
    assert isinstance(find_path(leaf, (odd,), [ROOT.certificate], NOW), CertificatePath)
    assert isinstance(find_path(odd, (), [ROOT.certificate], NOW), Untrusted)


@settings(max_examples=50, deadline=None)
@given(st.timedeltas(timedelta(days=-60), timedelta(days=60)))
def test_it_holds_exactly_within_its_validity(offset: timedelta) -> None:
    leaf = ROOT.leaf("CP-1", since=-DAY, until=10 * DAY)
    certificate, at = leaf.certificate, NOW + offset
    inside = certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    assert isinstance(judge(leaf, at=at), CertificatePath) == inside


@pytest.mark.requirement("S58")
def test_where_an_expired_certificate_may_count_nothing_else_may_have_expired() -> None:
    second = timedelta(seconds=1)
    expired = ROOT.leaf("CP-1", until=-second)
    below_expired = ROOT.sub(until=-second).leaf("CP-1", until=-2 * second)
    forged = Authority.root(key=key("ec", "forger")).leaf("CP-1", until=-second)
    early = ROOT.leaf("CP-1", since=second)

    def lenient(leaf: Issued) -> CertificatePath | Untrusted:
        return find_path(leaf.certificate, leaf.chain, [ROOT.certificate], NOW, outlived=True)

    assert isinstance(judge(expired), Untrusted)
    assert isinstance(lenient(expired), CertificatePath)
    assert isinstance(lenient(ROOT.leaf("CP-1")), CertificatePath)
    for wrong in (below_expired, forged, early):
        assert isinstance(lenient(wrong), Untrusted)
