from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csms.pki.crl import CrlStatus, RevocationList, look_up, read_lists
from tests.support.pki import DAY, NOW, Authority, key, usage

ROOT = Authority.root()
LEAF = ROOT.leaf("CP-1")


def status(*lists: RevocationList, issuer: Authority = ROOT) -> CrlStatus:
    return look_up(LEAF.serial, issuer.certificate, lists, NOW).status


def listed(*serials: int, by: Authority = ROOT, **options: object) -> RevocationList:
    (one,) = read_lists(by.crl_pem(*serials, **options))
    return one


@pytest.mark.requirement("S57", "S55")
def test_a_fresh_list_clears_or_revokes() -> None:
    assert status(listed()) is CrlStatus.GOOD
    answer = look_up(LEAF.serial, ROOT.certificate, [listed(1, LEAF.serial)], NOW)
    assert answer.status is CrlStatus.REVOKED
    assert answer.detail == "revoked on 2026-11-20 11:59 UTC (keyCompromise)"


@pytest.mark.requirement("S57")
def test_a_stale_list_still_revokes_but_never_clears() -> None:
    stale = {"at": NOW - 3 * DAY, "life": DAY}
    assert status(listed(LEAF.serial, **stale)) is CrlStatus.REVOKED
    answer = look_up(LEAF.serial, ROOT.certificate, [listed(**stale)], NOW)
    assert answer.status is CrlStatus.STALE
    assert answer.detail.endswith("stale since 2026-11-18 12:00 UTC")


def test_the_newest_list_counts() -> None:
    old, new = listed(LEAF.serial, at=NOW - timedelta(hours=2)), listed(at=NOW - timedelta(hours=1))
    assert status(old, new) is CrlStatus.GOOD
    assert status(new, old) is CrlStatus.GOOD


@pytest.mark.parametrize(
    "other",
    [
        listed(by=Authority.root("Stranger")),
        listed(key=key("ec", "forger")),
        listed(at=NOW + timedelta(hours=1)),
    ],
    ids=["another issuer's", "forged", "from the future"],
)
def test_a_list_that_is_not_the_issuers_says_nothing(other: RevocationList) -> None:
    assert status(other) is CrlStatus.MISSING


def test_an_authority_that_may_not_sign_lists_has_none() -> None:
    mute = Authority.root("Mute", key_usage=usage("key_cert_sign"))
    assert status(listed(by=mute), issuer=mute) is CrlStatus.MISSING


def test_many_blocks_and_der_are_read() -> None:
    other = Authority.root("Other")
    assert len(read_lists(ROOT.crl_pem() + b"\n" + other.crl_pem())) == 2
    assert len(read_lists(ROOT.crl().public_bytes(Encoding.DER))) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        ROOT.crl_pem()[:-40],
        ROOT.crl_pem(extensions=[x509.DeltaCRLIndicator(1)]),
        ROOT.crl_pem(
            extensions=[
                x509.IssuingDistributionPoint(
                    None,
                    None,
                    only_contains_user_certs=False,
                    only_contains_ca_certs=True,
                    only_some_reasons=None,
                    indirect_crl=False,
                    only_contains_attribute_certs=False,
                )
            ]
        ),
    ],
    ids=["empty", "nonsense", "cut off", "delta", "partial"],
)
def test_a_list_that_is_no_whole_list_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_lists(data)
