from itertools import product

import pytest

from csms.client_certificates import Unproven, caution_of, named_fault, shared_fault
from csms.pki.crl import CrlAnswer, CrlStatus, read_lists
from csms.pki.ocsp import OcspAnswer, OcspStatus, OcspUnusable
from csms.pki.path import CertificatePath, find_path
from csms.pki.revocation import Revocation, Standing, judge_revocation, look_up_path
from csms.pki.trust import Trust
from storage.charger import Charger
from tests.support.pki import DAY, NOW, Authority

LISTED = [None, *(CrlAnswer(status, status.value) for status in CrlStatus)]
ASKED = [None, OcspUnusable("silent"), *(OcspAnswer(status, NOW, status.value) for status in OcspStatus)]


@pytest.mark.requirement("S57")
@pytest.mark.parametrize(("listed", "asked"), list(product(LISTED, ASKED)))
def test_every_pair_of_sources(listed: CrlAnswer | None, asked: OcspAnswer | OcspUnusable | None) -> None:
    standing = judge_revocation(listed, asked).standing
    refused = isinstance(asked, OcspAnswer) and asked.status is not OcspStatus.GOOD
    cleared = isinstance(asked, OcspAnswer) or bool(listed and listed.status is CrlStatus.GOOD)
    if refused or (listed and listed.status is CrlStatus.REVOKED):
        assert standing is Standing.REVOKED
    else:
        nothing_to_ask = listed is None and asked is None
        assert standing is (Standing.GOOD if cleared or nothing_to_ask else Standing.UNPROVEN)


def test_a_revoked_sub_authority_takes_its_chargers_along() -> None:
    root = Authority.root()
    sub = root.sub()
    leaf = sub.leaf("CP-1")
    path = find_path(leaf.certificate, leaf.chain, [root.certificate], NOW)
    assert isinstance(path, CertificatePath)

    def standing(*lists: bytes) -> CrlStatus | None:
        read = tuple(each for data in lists for each in read_lists(data))
        answer = look_up_path(path, Trust((root.certificate,), read), lambda: NOW)
        return None if answer is None else answer.status

    assert standing() is None, "without lists nothing is looked up"
    assert standing(root.crl_pem(), sub.crl_pem()) is CrlStatus.GOOD
    assert standing(root.crl_pem(sub.certificate.serial_number), sub.crl_pem()) is CrlStatus.REVOKED
    assert standing(root.crl_pem()) is CrlStatus.MISSING
    assert standing(root.crl_pem(at=NOW - 2 * DAY, life=DAY), sub.crl_pem()) is CrlStatus.STALE


@pytest.mark.requirement("S57")
def test_a_root_still_revokes_a_sub_authority_that_the_bundle_lists_beside_it() -> None:
    """A bundle of the whole chain ends every path at the sub-authority, which is trusted by itself."""
    root = Authority.root()
    middle = root.sub("Middle")
    sub = middle.sub("Lowest")
    leaf = sub.leaf("CP-1")
    bundle = (sub.certificate, middle.certificate, root.certificate)
    path = find_path(leaf.certificate, (), bundle, NOW)
    assert isinstance(path, CertificatePath)
    assert path.issuers == (sub.certificate,)

    def standing(*lists: bytes) -> CrlStatus:
        read = tuple(each for data in lists for each in read_lists(data))
        answer = look_up_path(path, Trust(bundle, read), lambda: NOW)
        assert answer is not None
        return answer.status

    assert standing(sub.crl_pem()) is CrlStatus.GOOD, "nobody needs to clear what is trusted by itself"
    assert standing(sub.crl_pem(), middle.crl_pem(), root.crl_pem()) is CrlStatus.GOOD
    assert standing(sub.crl_pem(), middle.crl_pem(sub.certificate.serial_number)) is CrlStatus.REVOKED
    assert standing(sub.crl_pem(), root.crl_pem(middle.certificate.serial_number)) is CrlStatus.REVOKED
    forged = root.crl_pem(middle.certificate.serial_number, key=sub.issued.key)
    assert standing(sub.crl_pem(), forged) is CrlStatus.GOOD


def test_what_follows_from_a_standing() -> None:
    revoked = caution_of(Revocation(Standing.REVOKED, "revoked on Monday"), unsafe_unproven=True)
    assert revoked == Unproven("the certificate was revoked on Monday"), "no setting lets it in"
    unproven = Revocation(Standing.UNPROVEN, "stale")
    assert isinstance(caution_of(unproven, unsafe_unproven=False), Unproven)
    assert caution_of(unproven, unsafe_unproven=True) == (
        "it is not known whether the certificate is revoked: stale"
    )
    assert caution_of(Revocation(Standing.GOOD), unsafe_unproven=False) is None


@pytest.mark.requirement("F37", "F36")
@pytest.mark.parametrize(
    ("common_name", "serial_number", "bearers", "fault"),
    [
        ("CP-1", None, ["CP-1"], ""),
        ("SN-1", "SN-1", ["CP-1"], ""),
        ("CP-2", "SN-1", ["CP-2"], "issued to another charger"),
        ("CP-2", None, [], "issued to another charger"),
        ("cp-1", None, [], "issued to another charger"),
        ("SN-1", "SN-1", ["CP-1", "CP-9"], "more than one registered charger"),
    ],
)
def test_a_certificate_is_bound_to_one_charger(
    common_name: str, serial_number: str | None, bearers: list[str], fault: str
) -> None:
    charger = Charger("CP-1", "site", "V", "M", serial_number=serial_number)
    path = CertificatePath(common_name, 1, "1", NOW, ())
    found = named_fault(path, charger) or shared_fault(charger, bearers)
    assert bool(found) == bool(fault)
    assert fault in found
