"""Our authority: what it issues holds for a node's own rules, and so does what it says of it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from csms.pki.crl import CrlStatus, look_up, read_lists
from csms.pki.ocsp import OcspAnswer, OcspQuestion, OcspStatus, judge_response
from csms.pki.path import CertificatePath, find_path
from signing.ca.builtin import BuiltInAuthority, authority_names
from signing.ca.ceremony import (
    ensure_development_authority,
    fingerprint,
    make_key,
    make_root,
    read_authority,
    request_issuing,
    sign_issuing,
)
from signing.ca.csr import CsrPolicy
from signing.ca.key import AddressedKey
from signing.ca.ports import Applicant, Issued
from signing.ca.profile import ChargerProfile
from signing.errors import CertificateRefused, KeyUnavailable
from signing.keys import file_address
from storage.certificate import Certificate, CertificatePhase
from storage.errors import Conflict, InvalidInput
from tests.support.csrs import SERIAL, csr, key_of
from tests.support.pki import NOW

WHO = Applicant("CP-1", SERIAL, "Volt", "V2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("authority")
    ensure_development_authority(made, NOW)
    return made


def authority(folder: Path, profile: ChargerProfile | None = None) -> BuiltInAuthority:
    address, certificates = ensure_development_authority(folder, NOW)
    return BuiltInAuthority(address, certificates.read_text(), CsrPolicy(), profile or ChargerProfile())


def certificate(issued: Issued, phase: CertificatePhase = CertificatePhase.PROVEN) -> Certificate:
    revoked = NOW if phase is CertificatePhase.REVOKED else None
    return Certificate(
        charger_id="CP-1",
        serial=issued.serial,
        issuer=issued.issuer,
        key_sha256=issued.key_sha256,
        chain=issued.chain,
        not_before=issued.not_before,
        not_after=issued.not_after,
        issued_at=NOW,
        issued_by="ada",
        phase=phase,
        revoked_at=revoked,
        reason="superseded" if revoked else "",
    )


def leaf_of(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificates(issued.chain.encode())[0]


@pytest.mark.requirement("S55")
async def test_what_it_issues_holds_for_a_node_and_says_no_more_than_it_must(folder: Path) -> None:
    issued = await authority(folder).issue(csr(), WHO, NOW, renews=False)
    leaf, anchors = leaf_of(issued), read_authority((folder / "charger-ca.pem").read_text())
    path = find_path(leaf, [], anchors, NOW)
    assert isinstance(path, CertificatePath)
    assert (path.common_name, path.serial) == (SERIAL, issued.serial)
    said = {extension.oid for extension in leaf.extensions}
    assert not said & {ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.EXTENDED_KEY_USAGE}
    assert issued.not_after - NOW == timedelta(days=365)
    assert len(issued.chain) < 2500, "the root is not in it"
    assert issued.chain.count("BEGIN CERTIFICATE") == 2


@pytest.mark.requirement("S55")
@pytest.mark.parametrize(
    ("named", "says"), [("*", True), ("Volt", True), ("Volt/V2", True), ("Volt/V3", False)]
)
async def test_client_auth_is_said_for_models_that_insist(folder: Path, named: str, says: bool) -> None:
    issued = await authority(folder, ChargerProfile(client_auth_of=frozenset({named}))).issue(
        csr(), WHO, NOW, renews=False
    )
    assert (ExtensionOID.EXTENDED_KEY_USAGE in {each.oid for each in leaf_of(issued).extensions}) is says


async def test_it_judges_again_itself_and_never_outlives_its_issuer(folder: Path) -> None:
    house = authority(folder, ChargerProfile(life=timedelta(days=3650)))
    with pytest.raises(CertificateRefused, match="the charger that asks is"):
        await house.issue(csr("SN-2"), WHO, NOW, renews=False)
    issued = await house.issue(csr(), WHO, NOW, renews=False)
    assert issued.not_after <= NOW + timedelta(days=365 * 5)
    with pytest.raises(CertificateRefused, match="not valid now"):
        await house.issue(csr(), WHO, NOW + timedelta(days=365 * 6), renews=False)


@pytest.mark.requirement("S57")
async def test_its_list_and_its_answers_are_believed_by_a_node(folder: Path) -> None:
    house = authority(folder)
    good, bad = [await house.issue(csr(), WHO, NOW, renews=False) for _ in range(2)]
    revoked = certificate(bad, CertificatePhase.REVOKED)
    issuer = read_authority((folder / "charger-ca.pem").read_text())[0]
    listed = await house.revocation_list([revoked], 7, NOW)
    lists = read_lists(listed.der)
    assert look_up(int(bad.serial, 16), issuer, lists, NOW).status is CrlStatus.REVOKED
    assert look_up(int(good.serial, 16), issuer, lists, NOW).status is CrlStatus.GOOD
    late = NOW + timedelta(days=8)
    assert look_up(int(good.serial, 16), issuer, lists, late).status is CrlStatus.STALE

    said = await house.status_answers([certificate(good), revoked], NOW)
    for answer, issued, status in zip(said, (good, bad), (OcspStatus.GOOD, OcspStatus.REVOKED), strict=True):
        question = OcspQuestion(issuer, int(issued.serial, 16), b"n" * 16)
        judged = judge_response(answer.der, question, NOW)
        assert isinstance(judged, OcspAnswer)
        assert judged.status is status


@pytest.mark.requirement("S56")
async def test_many_at_once_each_get_their_own(folder: Path) -> None:
    house = authority(folder)
    made = await asyncio.gather(*(house.issue(csr(), WHO, NOW, renews=True) for _ in range(20)))
    assert len({each.serial for each in made}) == 20


@pytest.mark.requirement("S54")
def test_a_key_at_an_address_signs_and_stays_there(folder: Path) -> None:
    key = AddressedKey(file_address(folder / "charger-ca.key"))
    for take in (
        key.private_numbers,
        lambda: key.private_bytes(None, None, None),  # type: ignore[arg-type]
        lambda: key.exchange(None, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(KeyUnavailable, match="never leaves"):
            take()


def test_a_ceremony_goes_by_files_and_refuses_what_does_not_belong(tmp_path: Path) -> None:
    root, issuing = make_key(tmp_path / "root.key"), make_key(tmp_path / "ca.key")
    with pytest.raises(Conflict, match="never overwritten"):
        make_key(tmp_path / "root.key")
    root_pem = make_root(root, "Root", NOW)
    request = request_issuing(issuing, "Issuing")
    made = sign_issuing(root_pem, root, request, NOW)
    assert fingerprint(request) == fingerprint(made), "what is read aloud on both machines"
    assert [each.subject.rfc4514_string() for each in read_authority(made)] == ["CN=Issuing", "CN=Root"]
    assert authority_names(made)["root"] == "CN=Root"
    with pytest.raises(CertificateRefused, match="not the root's"):
        sign_issuing(root_pem, issuing, request, NOW)
    with pytest.raises(CertificateRefused, match="EC key of its own"):
        sign_issuing(root_pem, root, request_issuing(root, "Issuing"), NOW)
    with pytest.raises(CertificateRefused, match="EC key of its own"):
        sign_issuing(root_pem, root, csr(kind="rsa2048"), NOW)
    for rubbish in ("", "hello", csr(), root_pem[:300], made + make_root(make_key(tmp_path / "o"), "O", NOW)):
        with pytest.raises(InvalidInput):
            read_authority(rubbish)


def test_a_key_of_another_authority_is_refused(folder: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    certificates = (folder / "charger-ca.pem").read_text()
    with pytest.raises(KeyUnavailable, match="is not that of the authority"):
        BuiltInAuthority(other, certificates, CsrPolicy(), ChargerProfile())
    rsa = tmp_path / "rsa.key"
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    rsa.write_bytes(key_of("rsa2048").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    rsa.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="cannot issue certificates"):
        AddressedKey(file_address(rsa))
