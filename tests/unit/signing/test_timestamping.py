"""Checkpoints that an outside authority dates: OpenSSL's stamps hold, all others do not (S65)."""

from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from signing.checkpoint import checkpoint_key
from signing.errors import RepositoryUnreachable, VerificationFailed
from signing.notary import AuditNotary, RecordKeys
from signing.timestamping import check_stamp, fetch_stamp, stamp_key
from tests.support.time_stamp_authority import Authority
from tests.unit.signing.test_notary import Desk

pytestmark = pytest.mark.requirement("S65")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


async def test_a_stamp_holds_for_its_document_and_its_authority_alone(
    authority: Authority, tmp_path: Path
) -> None:
    root = load_pem_x509_certificate(authority.root.read_bytes())
    other = load_pem_x509_certificate(Authority(tmp_path / "other").root.read_bytes())
    stamp = await fetch_stamp(b"a checkpoint", authority.post)
    assert check_stamp(stamp, b"a checkpoint", [root]).tzinfo is not None
    for document, roots in ((b"another", [root]), (b"a checkpoint", [other])):
        with pytest.raises(VerificationFailed, match="does not hold"):
            check_stamp(stamp, document, roots)
    for hostile in (b"", b"\x30\x80", b"x" * 100_000, stamp[:-40]):
        with pytest.raises(VerificationFailed):
            check_stamp(hostile, b"a checkpoint", [root])


async def test_an_answer_to_another_question_is_not_kept(authority: Authority) -> None:
    old = await fetch_stamp(b"a checkpoint", authority.post)

    async def replayed(_: bytes) -> bytes:
        return old

    async def nonsense(_: bytes) -> bytes:
        return b"<html>503</html>"

    for post in (replayed, nonsense):
        with pytest.raises(RepositoryUnreachable):
            await fetch_stamp(b"a checkpoint", post)


async def test_a_checkpoint_is_stamped_and_an_authority_that_is_away_stops_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    desk, away = Desk(tmp_path), [True]
    desk.log.grow(2)

    async def post(query: bytes) -> bytes:
        if away[0]:
            raise RepositoryUnreachable("It is away.")
        return await authority.post(query)

    desk.notary = AuditNotary(
        desk.blobs,  # type: ignore[arg-type]
        lambda: RecordKeys.in_folder(tmp_path),
        lambda: desk.now,
        authority=post,
    )
    assert await desk.round() == 2
    assert stamp_key(1) not in desk.blobs.objects
    away[0] = False
    assert await desk.round(minutes=1) == 0
    root = load_pem_x509_certificate(authority.root.read_bytes())
    check_stamp(desk.blobs.objects[stamp_key(1)], desk.blobs.objects[checkpoint_key(1)], [root])
