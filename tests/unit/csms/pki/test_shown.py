"""By which roots a node can be known, and since when: whatever time somebody names."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from csms.pki.shown import ShownChains, is_under
from csms.tls import CertificateFiles, ServerTls, ServerTlsFiles
from tests.support.pki import DAY, NOW, Authority, key

pytestmark = pytest.mark.requirement("S60")
OLD, NEW = Authority.root("Old root"), Authority.root("New root")


def pem(authority: Authority) -> str:
    return authority.certificate.public_bytes(Encoding.PEM).decode()


def chain(authority: Authority) -> list[object]:
    issued = authority.leaf("localhost")
    return [issued.certificate, *issued.chain]


def test_a_chain_is_under_the_root_that_signed_its_end_and_no_other() -> None:
    sub = NEW.sub("Server Sub CA")
    leaf = sub.leaf("localhost")
    assert is_under([leaf.certificate, sub.certificate], NEW.certificate)
    assert is_under([leaf.certificate, sub.certificate, NEW.certificate], NEW.certificate)
    assert not is_under([leaf.certificate, sub.certificate], OLD.certificate)
    assert not is_under([leaf.certificate], NEW.certificate), "without what is between, nobody finds it"
    assert not is_under([leaf.certificate, OLD.certificate], OLD.certificate), "a chain that does not hang"
    namesake = Authority.root("New root", key=key("ec", "another key"))
    assert not is_under([leaf.certificate, sub.certificate], namesake.certificate), "names are not enough"


def test_since_is_without_a_break_and_of_every_chain() -> None:
    shown = ShownChains()
    assert shown.since(pem(NEW)) is None
    shown.show([chain(NEW)], NOW)
    shown.show([chain(OLD)], NOW + DAY)
    assert shown.since(pem(NEW)) is None, "it was put back"
    shown.show([chain(NEW), chain(OLD)], NOW + 2 * DAY)
    assert shown.since(pem(NEW)) is None, "chargers with RSA get the old one"
    shown.show([chain(NEW)], NOW + 3 * DAY)
    shown.show([chain(NEW), chain(NEW)], NOW + 4 * DAY)
    assert shown.since(pem(NEW)) == NOW + 3 * DAY, "a new certificate below the same root is no new switch"
    assert shown.since(pem(OLD)) is None


async def test_a_node_knows_when_it_took_a_new_chain_into_force(tmp_path: Path) -> None:
    times = iter([NOW, NOW + DAY])
    files = CertificateFiles(*OLD.leaf("localhost").write(tmp_path, "server"))
    tls = ServerTls(ServerTlsFiles((files,)), lambda: next(times))
    assert tls.shown.since(pem(OLD)) == NOW
    NEW.leaf("localhost").write(tmp_path, "server")
    while not await tls.refresh():
        pass
    assert (tls.shown.since(pem(OLD)), tls.shown.since(pem(NEW))) == (None, NOW + DAY)
