"""After a change of the issuing key: each issuer has its list and answers until what it issued has ended."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from activities.certificate_end import RevokeOrder
from activities.certificates import CertificateActivities
from csms.client_certificates import ClientCertificates, ClientTlsOptions, Proven, Unproven
from csms.pki.certificates import Presented
from csms.pki.trust import TrustFiles
from signing.ca.builtin import BuiltInAuthority
from signing.ca.ceremony import make_key, make_root, request_issuing, sign_issuing
from signing.ca.csr import CsrPolicy
from signing.ca.profile import ChargerProfile
from signing.errors import KeyUnavailable
from storage.certificate import Certificate
from tests.integration.certificates.test_issuing import Desk, desk, fresh
from tests.support.pki import NOW

__all__ = ["desk"]
pytestmark = [pytest.mark.integration, pytest.mark.requirement("S55", "S57")]
SAME_NAME = "Ampwave charger authority"
AT = "https://ampwave.example/pki"


class Changed:
    """A desk whose issuing key was changed: another key of the same name, below the same root."""

    def __init__(self, desk_: Desk, folder: Path) -> None:
        self.desk, self.files = desk_, folder
        root = make_key(folder / "root.key")
        pem = make_root(root, "Root", NOW)
        self.keys = [make_key(folder / f"issuing-{number}.key") for number in (1, 2)]
        self.chains = [sign_issuing(pem, root, request_issuing(key, SAME_NAME), NOW) for key in self.keys]
        profile = ChargerProfile(lists_url=AT)
        self.old, self.new = (
            BuiltInAuthority(key, chain, CsrPolicy(), profile)
            for key, chain in zip(self.keys, self.chains, strict=True)
        )
        desk_.authority = self.old
        desk_.signer = desk_.over(desk_.certificates)

    def change(self, former: Sequence[Any]) -> None:
        """From now on the new key issues."""
        self.desk.authority = self.new
        plain = self.desk.over(self.desk.certificates)
        self.desk.signer = CertificateActivities(
            plain._stores, self.desk.certificates, self.new, self.desk.policy, former
        )

    async def issued(self, charger_id: str, common_name: str) -> Certificate:
        answer = await self.desk.issue(charger_id, fresh(common_name))
        assert answer.serial, answer
        return await self.desk.certificates.get(charger_id, answer.serial)

    async def revoke(self, *certificates: Certificate) -> None:
        for each in certificates:
            order = RevokeOrder(each.charger_id, (each.serial,), "keyCompromise", "ada")
            await self.desk.signer.revoke_certificates(order)

    async def listed(self, issuer: str) -> set[str]:
        newest = await self.desk.certificates.newest_list(issuer)
        assert newest is not None
        return {f"{each.serial_number:X}" for each in x509.load_der_x509_crl(newest.der)}

    async def node(self) -> ClientCertificates:
        """A csms node that was given both authorities, and both lists as they are at their addresses."""
        authorities, lists = [], []
        for number, chain in enumerate(self.chains):
            authorities.append(self.files / f"ca-{number}.pem")
            authorities[-1].write_text(chain)
        for each in await self.desk.certificates.lists():
            lists.append(self.files / f"{each.issuer}.crl")
            lists[-1].write_bytes(each.der)
        files = TrustFiles(tuple(authorities), tuple(lists))
        return ClientCertificates(
            ClientTlsOptions(files), self.desk.chargers, lambda: self.desk.now, ocsp=None
        )


async def judged(node: ClientCertificates, desk_: Desk, certificate: Certificate) -> Proven | Unproven:
    leaf, *above = x509.load_pem_x509_certificates(certificate.chain.encode())
    presented = Presented(
        leaf.public_bytes(Encoding.DER), tuple(each.public_bytes(Encoding.DER) for each in above)
    )
    charger = (await desk_.chargers.get(certificate.charger_id)).charger
    return await node.prove(presented, charger)


@pytest.fixture
def changed(desk: Desk, tmp_path: Path) -> Changed:
    (tmp_path / "keys").mkdir()
    return Changed(desk, tmp_path / "keys")


async def test_what_a_former_key_issued_is_revoked_and_accepted_as_before(changed: Changed) -> None:
    gone, good = await changed.issued("CP-1", "SN-0001"), await changed.issued("CP-1", "SN-0001")
    late = await changed.issued("CP-2", "SN-0002")
    await changed.revoke(gone)
    changed.change(former=[changed.old])
    newer, newest = await changed.issued("CP-1", "SN-0001"), await changed.issued("CP-2", "SN-0002")
    await changed.revoke(late, newest)

    assert await changed.listed(changed.old.issuer) == {gone.serial, late.serial}
    assert await changed.listed(changed.new.issuer) == {newest.serial}
    first, second = await changed.desk.certificates.lists()
    assert (first.issuer, first.former) == (changed.new.issuer, False)
    assert (second.issuer, second.former) == (changed.old.issuer, True)
    now = await changed.desk.certificates.newest_list()
    assert now is not None
    assert now.issuer == changed.new.issuer, "who issues now, whoever signed last"

    node = await changed.node()
    for each in (gone, late, newest):
        found = await judged(node, changed.desk, each)
        assert isinstance(found, Unproven)
        assert "revoked" in found.reason
    for each in (good, newer):
        assert isinstance(await judged(node, changed.desk, each), Proven)
    for each in (gone, good, late, newer, newest):
        said = await changed.desk.certificates.status_answer(each.serial)
        assert said is not None
        assert (said.issuer, said.phase) == (
            each.issuer,
            (await changed.desk.phases(each.charger_id))[each.serial],
        )


async def test_each_certificate_names_its_own_issuers_list(changed: Changed) -> None:
    before = await changed.issued("CP-1", "SN-0001")
    changed.change(former=[changed.old])
    after = await changed.issued("CP-2", "SN-0002")
    for each, authority in ((before, changed.old), (after, changed.new)):
        leaf = x509.load_pem_x509_certificates(each.chain.encode())[0]
        (point,) = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert [one.value for one in point.full_name or ()] == [f"{AT}/{authority.issuer}.crl"]


async def test_a_former_key_rests_once_the_last_that_it_issued_has_ended(changed: Changed) -> None:
    await changed.issued("CP-1", "SN-0001")
    changed.change(former=[changed.old])
    await changed.desk.signer.publish_revocations()
    changed.desk.now += timedelta(days=364)
    await changed.issued("CP-2", "SN-0002")
    await changed.desk.signer.publish_revocations()
    last = await changed.desk.certificates.newest_list(changed.old.issuer)
    changed.desk.now += timedelta(days=2)
    await changed.desk.signer.publish_revocations()
    assert await changed.desk.certificates.newest_list(changed.old.issuer) == last
    new = await changed.desk.certificates.newest_list(changed.new.issuer)
    assert new is not None
    assert new.this_update == changed.desk.now


async def test_a_former_key_that_is_away_keeps_nobody_else_silent(changed: Changed) -> None:
    class Away:
        issuer = changed.old.issuer

        def __getattr__(self, name: str) -> Any:
            raise KeyUnavailable("The token is not there.")

    old = await changed.issued("CP-1", "SN-0001")
    changed.change(former=[Away()])
    new = await changed.issued("CP-2", "SN-0002")
    with pytest.raises(Exception, match="token is not there"):
        await changed.revoke(new)
    assert await changed.listed(changed.new.issuer) == {new.serial}
    with pytest.raises(Exception, match="token is not there"):
        await changed.revoke(old)
    assert (await changed.desk.phases("CP-1"))[old.serial] == "revoked", "with us it counts at once"
