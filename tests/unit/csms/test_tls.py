import ssl
from pathlib import Path

import pytest

from csms.pki.trust import TrustFiles, load_trust
from csms.reloading import Reloading
from csms.tls import CertificateFiles, ServerTlsFiles, build_context, ciphers, expiry_problems
from storage.errors import InvalidInput
from tests.support.pki import DAY, NOW, Authority, key

ROOT = Authority.root("Server root")


def pair(folder: Path, stem: str = "server", **options: object) -> CertificateFiles:
    return CertificateFiles(*ROOT.leaf("localhost", **options).write(folder, stem))


def offered(context: ssl.SSLContext) -> set[str]:
    return {suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.2"}


def test_only_forward_secret_suites_are_offered_by_default(tmp_path: Path) -> None:
    context = build_context(ServerTlsFiles((pair(tmp_path),)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
    assert offered(context) == {
        f"ECDHE-{key_type}-AES{size}"
        for key_type in ("ECDSA", "RSA")
        for size in ("128-GCM-SHA256", "256-GCM-SHA384")
    }


def test_static_rsa_is_added_only_by_the_unsafe_switch(tmp_path: Path) -> None:
    """OCPP 2.0.1 A00.FR.318."""
    context = build_context(ServerTlsFiles((pair(tmp_path),), unsafe_static_rsa=True))
    assert {"AES128-GCM-SHA256", "AES256-GCM-SHA384"} <= offered(context)
    assert ciphers(unsafe_static_rsa=True).startswith("ECDHE"), "the better ones come first"


def test_with_authorities_chargers_may_show_a_certificate(tmp_path: Path) -> None:
    bundle = ROOT.write(tmp_path / "ca.pem")
    context = build_context(ServerTlsFiles((pair(tmp_path),), (bundle,)))
    assert context.verify_mode is ssl.CERT_OPTIONAL, "profile 2 comes to the same port"


def test_each_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    good, other = pair(tmp_path), pair(tmp_path, "other", key=key("ec", "other server"))
    half = tmp_path / "half.pem"
    half.write_bytes(good.chain.read_bytes()[:-30])
    empty = tmp_path / "empty.pem"
    empty.touch()
    cases = [
        (CertificateFiles(good.chain, other.key), r"other.key is not the key of .*server.pem"),
        (CertificateFiles(tmp_path / "none.pem", good.key), r"none.pem cannot be read"),
        (CertificateFiles(good.chain, tmp_path / "none.key"), r"none.key cannot be read"),
        (CertificateFiles(half, good.key), r"half.pem is cut off"),
        (CertificateFiles(empty, good.key), r"empty.pem holds no certificates"),
        (CertificateFiles(good.chain, half), r"half.pem cannot be used"),
    ]
    for files, message in cases:
        with pytest.raises(InvalidInput, match=message):
            build_context(ServerTlsFiles((files,)))
    with pytest.raises(InvalidInput, match=r"empty.pem holds no"):
        build_context(ServerTlsFiles((good,), (empty,)))


def test_an_encrypted_key_is_refused_instead_of_asked_about(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    files = pair(tmp_path)
    secret = BestAvailableEncryption(b"secret")
    files.key.write_bytes(key("ec", "localhost").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(InvalidInput, match="encrypted"):
        build_context(ServerTlsFiles((files,)))


def test_a_certificate_that_chargers_would_refuse_is_said_so(tmp_path: Path) -> None:
    files = ServerTlsFiles((pair(tmp_path), pair(tmp_path, "old", until=-DAY / 2)))
    (problem,) = expiry_problems(files, NOW)
    assert "old.pem is valid from 2026-11-19 to 2026-11-20, not now" in problem


def test_trust_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    bundle, lists = ROOT.write(tmp_path / "ca.pem"), tmp_path / "a.crl"
    lists.write_bytes(ROOT.crl_pem())
    trust = load_trust(TrustFiles((bundle,), (lists,)))
    assert trust.anchors == (ROOT.certificate,)
    assert len(trust.lists) == 1
    for content in (b"", b"nonsense", ROOT.crl_pem()[:-20]):
        lists.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"a.crl holds no revocation list"):
            load_trust(TrustFiles((bundle,), (lists,)))


async def test_files_are_read_anew_only_when_they_changed_and_only_if_they_are_good(tmp_path: Path) -> None:
    path, reads = tmp_path / "number", []

    def load() -> int:
        reads.append(1)
        text = path.read_text() if path.exists() else ""
        if not text.isdigit():
            raise InvalidInput(f"{path.name} holds no number")
        return int(text)

    with pytest.raises(InvalidInput):
        Reloading("number", [path], load)
    path.write_text("1")
    content = Reloading("number", [path], load)
    reads.clear()

    async def settled() -> bool:
        """The second look at the same file, when it counts."""
        assert not await content.refresh(), "it may still be being written"
        return await content.refresh()

    assert (await settled(), content.current, len(reads)) == (False, 1, 0)
    path.write_text("22")
    assert (await settled(), content.current) == (True, 22)
    path.write_text("half")
    assert (await settled(), content.current) == (False, 22)
    assert content.problem == "number holds no number"
    path.unlink()
    assert (await settled(), content.current) == (False, 22)
    path.write_text("333")
    assert (await settled(), content.current, content.problem) == (True, 333, "")


async def test_a_bundle_that_is_still_being_written_revokes_nobody(tmp_path: Path) -> None:
    """Cut off between two certificates it reads well, and lacks whoever comes later."""
    other, path = Authority.root("Other root"), tmp_path / "ca.pem"
    whole = ROOT.write(path).read_bytes() + other.write(tmp_path / "other.pem").read_bytes()
    path.write_bytes(whole)
    files = TrustFiles((path,))
    content = Reloading("authorities", files.all, lambda: load_trust(files))
    ROOT.write(path)
    assert not await content.refresh()
    path.write_bytes(whole)
    for _ in range(3):
        await content.refresh()
        assert len(content.current.anchors) == 2
    assert content.problem == ""


async def test_whatever_a_parser_raises_the_old_content_stays_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("1")
    broken: list[Exception] = []

    def load() -> int:
        if broken:
            raise broken.pop()
        return int(path.read_text())

    content = Reloading("numbers", [path], load)
    path.write_text("22")
    broken.append(RuntimeError("a defect of a parser"))
    assert [await content.refresh(), await content.refresh()] == [False, False]
    assert (content.current, content.problem) == (1, "The numbers cannot be read: RuntimeError.")
    assert await content.refresh()
    assert (content.current, content.problem) == (22, "")
