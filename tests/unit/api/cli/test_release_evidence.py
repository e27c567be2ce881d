"""Evidence at the command line; the verdict is found again offline, with pinned keys and root."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from signing.ceremony import DevelopmentCeremony
from signing.evidence import judge
from signing.evidence_policy import read_policy
from signing.keys import ensure_key_file, file_address, open_signer, public_bytes
from signing.release import Release, to_target
from signing.vsa import sign_summary
from storage.artifact import Compatible
from storage.canonical import sha256_hex
from storage.evidence import EvidenceKind as Kind
from tests.support import evidence_maker as made
from tests.support.evidence_maker import MALLORY, SHA
from tests.unit.signing.test_notary import START

pytestmark = pytest.mark.requirement("S52")
MODELS = (Compatible("Voltworks", "VW-22"),)


@pytest.fixture
def saved(home: Path) -> Path:
    """What ``evidence show --save`` wrote of a release that is not signed yet, and the policy beside it."""
    folder = home / "saved"
    folder.mkdir()
    made.write_policy(home / "policy", ("sbom", "provenance"), [{"cveID": "CVE-2026-1111"}])
    pieces = {Kind.SBOM: made.sbom(), Kind.PROVENANCE: made.provenance()}
    key = ensure_key_file(home / "record.pem")
    signer = open_signer(file_address(home / "record.pem"), [key])
    judged = judge(SHA, MODELS, pieces, read_policy(home / "policy" / "policy.json"))
    about = {"artifact_id": SHA, "compatible": [{"vendor": "Voltworks", "model": "VW-22"}]}
    (folder / "artifact.json").write_text(json.dumps(about))
    for kind, data in pieces.items():
        (folder / f"{kind.value}.json").write_bytes(data)
    (folder / "vsa.json").write_bytes(sign_summary(SHA, "volt/1.1/x.bin", judged, START, signer))
    return folder


def verify(run: Any, *more: str) -> Any:
    arguments = ("--policy", "policy/policy.json", "--key", "record.pub.json", "--json", *more)
    return run("artifact", "evidence", "verify", "saved", *arguments)


def test_the_verdict_is_found_again_without_a_network(
    run: Any, saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMPWAVE_TOKEN", raising=False)
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", "http://127.0.0.1:1")
    (home / "image.bin").write_bytes(made.IMAGE)
    result = verify(run, "--image", "image.bin")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["holds"], said["signed_verdict"], said["held_against_signed_target"]) == (
        True,
        "passed",
        False,
    )


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("sbom.json", made.sbom(made.OTHER), "of another image"),
        ("sbom.json", made.sbom(components=[]), "given on other files"),
        ("sbom.json", made.sbom(SHA, "CVE-2026-1111"), "known to be exploited"),
        ("provenance.json", made.provenance(signer=MALLORY), "none of these is trusted"),
        ("sbom.json", None, "An SBOM is required"),
        ("vsa.json", None, "there is no signed verdict"),
        ("vsa.json", b"{}", "is not a DSSE envelope"),
    ],
)
def test_a_piece_that_was_swapped_or_taken_is_found(
    run: Any, saved: Path, name: str, data: bytes | None, why: str
) -> None:
    (saved / name).unlink() if data is None else (saved / name).write_bytes(data)
    result = verify(run)
    assert result.exit_code == 1
    assert why in result.stderr


def test_another_policy_image_or_verifier_is_found(run: Any, saved: Path, home: Path) -> None:
    (home / "image.bin").write_bytes(b"another image")
    assert "is another image" in verify(run, "--image", "image.bin").stderr
    made.write_policy(home / "policy", ("sbom",))
    assert "under another policy" in verify(run).stderr
    (home / "record.pub.json").write_bytes(public_bytes(MALLORY.public_key))
    assert "none of these is trusted" in verify(run).stderr


def test_the_signed_target_decides_which_pieces_are_the_releases(run: Any, saved: Path, home: Path) -> None:
    """S49: the SBOM's hash is in what people signed, so one that was swapped later is found."""
    pieces = {kind: (saved / f"{kind}.json").read_bytes() for kind in ("sbom", "provenance", "vsa")}
    evidence = tuple(sorted((kind, sha256_hex(data)) for kind, data in pieces.items()))
    _publish(home, saved, Release("voltworks", "voltworks/1.1/x.bin", "1.1", 1, SHA, 8, MODELS, (), evidence))
    result = verify(run, "--root", "keys/root.json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["held_against_signed_target"] is True
    (saved / "sbom.json").write_bytes(made.sbom(components=[]))
    assert "the sbom here is another one than people signed" in verify(run, "--root", "keys/root.json").stderr
    (saved / "sbom.json").unlink()
    assert "names a sbom that is not here" in verify(run, "--root", "keys/root.json").stderr


def _publish(home: Path, saved: Path, release: Release) -> None:
    """A repository with this release, signed by two; its files beside the evidence."""
    from securesystemslib.signer import Signer
    from tuf.api.metadata import Metadata, Targets

    from signing.keys import public_of_file
    from signing.metadata import canonical, encode
    from signing.repository import NewFile, OnlineSigners, Repository
    from tests.support.memory import MemoryBlobs

    class Bucket(MemoryBlobs):
        async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
            self.objects[key] = data

    blobs, keys = Bucket(), home / "keys"

    def signer(name: str) -> Signer:
        path = keys / f"{name}.pem"
        return open_signer(file_address(path), [public_of_file(path)])

    async def work() -> None:
        ceremony = DevelopmentCeremony(blobs, keys, lambda: START)  # type: ignore[arg-type]
        made_root = (await ceremony.ensure(["voltworks"])).trusted_root
        repository = Repository(blobs, made_root)  # type: ignore[arg-type]
        head = await repository.head()
        assert head is not None
        before = (await repository.role(head, "voltworks")).signed
        targets = Targets(2, expires=before.expires, targets={release.path: to_target(release)})
        metadata = Metadata(targets)
        for name in ("voltworks-release", "voltworks-security"):
            signature = signer(name).sign(canonical(targets))
            metadata.signatures[signature.keyid] = signature
        online = OnlineSigners(signer("snapshot"), signer("timestamp"))
        await repository.publish(head, [NewFile("voltworks", 2, encode(metadata))], online, START)

    asyncio.run(work())
    (saved / "metadata").mkdir()
    for key, data in blobs.objects.items():
        (saved / "metadata" / Path(key).name).write_bytes(data)


def test_add_sends_each_file_and_says_what_is_kept(run: Any, fake: Any, home: Path) -> None:
    (home / "bom.json").write_bytes(made.sbom())
    piece = {
        "kind": "sbom",
        "sha256": "5" * 64,
        "length": 9,
        "added_by": "ann",
        "added_at": START.isoformat(),
    }
    fake.on("PUT", f"/artifacts/{SHA}/evidence/sbom", (200, [piece]))
    result = run("artifact", "evidence", "add", SHA, "--sbom", "bom.json")
    assert result.exit_code == 0, result.output
    assert fake.last("PUT", f"/artifacts/{SHA}/evidence/sbom").body == made.sbom()
    assert "sbom" in result.stdout
    assert run("artifact", "evidence", "add", SHA).exit_code == 2
    assert run("artifact", "evidence", "add", SHA, "--vex", "none.json").exit_code == 2
    assert run("artifact", "evidence", "remove", SHA, "luck").exit_code == 2
    assert run("artifact", "evidence", "verify", "nowhere").exit_code == 2
