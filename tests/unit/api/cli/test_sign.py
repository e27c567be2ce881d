"""Signing and verifying on a person's own machine, with real keys over a real repository.

The server is whatever it wants to be: the bytes decide, judged from the person's own root (S15).
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Signature

from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentManufacturer
from signing.keys import file_address, public_of_file
from signing.metadata import canonical
from signing.release import release_of
from signing.service import OnlineKeys, SigningService
from signing.sign_off import collect_evidence, review, sign
from signing.step import next_version
from signing.trust_source import METADATA_PREFIX, fetch_from
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease
from storage.canonical import sha256_hex
from storage.charger import SignatureScheme
from storage.clock import system_clock
from tests.support.signing_library import Bucket

pytestmark = pytest.mark.requirement("S15")


@dataclass
class Bench:
    """A repository, its keys, a staged release, and the api that hands it out."""

    fake: Any
    folder: Path
    bucket: Bucket
    artifact: Artifact
    staged: StagedRelease

    def serve(self, staged: StagedRelease) -> None:
        self.staged = staged
        for key, data in self.bucket.objects.items():
            if key.startswith(METADATA_PREFIX):
                self.fake.files[f"/tuf/metadata/{key.removeprefix(METADATA_PREFIX)}"] = data
        reply = {
            "role": staged.role,
            "version": staged.version,
            "sha256": staged.sha256,
            "payload": base64.b64encode(staged.payload).decode(),
            "threshold": staged.threshold,
            "keyids": list(staged.keyids),
            "signed_by": [],
        }
        signed = {
            **reply,
            "signed_by": [{"signer": "grace", "keyid": "", "signed_at": "2026-05-04T12:00:00Z"}],
        }
        self.fake.on("GET", f"/artifacts/{self.artifact.artifact_id}/staged", (200, reply))
        self.fake.on("POST", f"/artifacts/{self.artifact.artifact_id}/sign-offs", (202, signed))

    def sign(self, run: Callable[..., Any], *options: str, key: str = "acme-qa", root: str = "") -> Any:
        root = root or str(self.folder / "root.json")
        address = file_address(self.folder / f"{key}.pem")
        return run("artifact", "sign", self.artifact.artifact_id, "--key", address, "--root", root, *options)

    def posted(self) -> list[Any]:
        return [one.json for one in self.fake.seen if one.method == "POST" and one.body]


def _artifact(version: str, counter: int, leaf: Any) -> Artifact:
    image = f"firmware {version}".encode()
    return Artifact(
        artifact_id=hashlib.sha256(image).hexdigest(),
        vendor_role="acme",
        version=version,
        release_counter=counter,
        length=len(image),
        compatible=(Compatible("Acme", "AC22"),),
        vendor_signatures=(leaf.sign(image),),
        phase=ArtifactPhase.AWAITING_SIGNATURES,
        uploaded_by="ada",
        uploaded_at=system_clock(),
    )


async def _stage(
    bucket: Bucket, folder: Path, artifact: Artifact, maker: DevelopmentManufacturer
) -> StagedRelease:
    ceremony = DevelopmentCeremony(bucket, folder, system_clock)  # type: ignore[arg-type]
    result = await ceremony.ensure(["acme"], manufacturer_roots={"acme": (maker.root,)})
    keys = OnlineKeys.in_folder(folder)
    return await SigningService(bucket, result.trusted_root, keys, system_clock).stage(artifact)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def maker() -> DevelopmentManufacturer:
    return DevelopmentManufacturer.create("acme", system_clock())


@pytest.fixture
def bench(home: Path, fake: Any, maker: DevelopmentManufacturer) -> Bench:
    folder = home / "keys"
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    artifact = _artifact("1.1.0", 11, leaf)
    bucket = Bucket()
    staged = asyncio.run(_stage(bucket, folder, artifact, maker))
    made = Bench(fake, folder, bucket, artifact, staged)
    made.serve(staged)
    return made


def _restaged(bench: Bench, *artifacts: Artifact) -> StagedRelease:
    """What a lying server might stage: any releases at all after the empty first version."""
    from tuf.api.metadata import Targets

    targets = Targets(1, expires=system_clock())
    for artifact in artifacts:
        targets = next_version("acme", targets, release_of(artifact), system_clock())
    targets.version = 2
    payload = canonical(targets)
    return StagedRelease(
        artifacts[0].artifact_id, "acme", 2, payload, sha256_hex(payload), 2, bench.staged.keyids
    )


def test_a_person_reviews_and_signs(run: Any, bench: Bench) -> None:
    result = bench.sign(run, "--yes")
    assert result.exit_code == 0, result.output
    assert "+ acme/1.1.0/firmware.bin" in result.stderr
    assert "release counter 11" in result.stderr
    assert result.stdout == "Signed. 1 of 2 signatures: grace.\n"
    [sent] = bench.posted()
    key = public_of_file(bench.folder / "acme-qa.pem")
    assert (sent["staged_sha256"], sent["keyid"]) == (bench.staged.sha256, key.keyid)
    key.verify_signature(Signature(sent["keyid"], sent["signature"]), bench.staged.payload)


@pytest.mark.requirement("S16")
def test_what_another_release_came_before_is_staged_again_and_signed(
    run: Any, bench: Bench, maker: Any
) -> None:
    path = f"/artifacts/{bench.artifact.artifact_id}/staged"
    first = _artifact("1.0.0", 10, maker.leaf(SignatureScheme.ECDSA_P256, system_clock()))
    bench.bucket.objects[first.artifact_id] = b"firmware 1.0.0"
    again = asyncio.run(_publish_before(bench, first))
    bench.serve(bench.staged)
    bench.fake.on("POST", path, (409, {"title": "Conflict", "detail": "The artifact is rejected."}))
    refused = bench.sign(run, "--yes")
    assert (refused.exit_code, "The artifact is rejected." in refused.stderr) == (1, True)

    bench.fake.on("POST", path, (200, {"role": "acme", "payload": base64.b64encode(again.payload).decode()}))
    result = bench.sign(run, "--yes")
    assert result.exit_code == 0, result.output
    assert "acme version 3, valid until" in result.stderr
    assert bench.posted()[-1]["staged_sha256"] == again.sha256


async def _publish_before(bench: Bench, first: Artifact) -> StagedRelease:
    """Two people sign another release; what the bench's image is staged as after it."""
    root = (bench.folder / "root.json").read_bytes()
    service = SigningService(bench.bucket, root, OnlineKeys.in_folder(bench.folder), system_clock)  # type: ignore[arg-type]
    staged, evidence = await service.stage(first), await collect_evidence(fetch_from(bench.bucket), "acme")  # type: ignore[arg-type]
    seen, now = await review("acme", staged.payload, evidence, root, system_clock()), system_clock()
    made = [sign(seen, file_address(bench.folder / f"acme-{who}.pem")) for who in ("release", "qa")]
    await service.publish(
        staged, tuple(SignOff(staged.artifact_id, staged.sha256, *one, "somebody", now) for one in made)
    )
    return await service.stage(bench.artifact)


def test_nothing_is_signed_without_a_yes(run: Any, bench: Bench) -> None:
    result = bench.sign(run)
    assert result.exit_code == 2
    assert "Add --yes" in result.stderr
    assert bench.posted() == []


def test_other_bytes_than_one_new_image_are_refused(run: Any, bench: Bench, maker: Any) -> None:
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    bench.serve(_restaged(bench, bench.artifact, _artifact("6.6.6", 66, leaf)))
    result = bench.sign(run, "--yes")
    assert result.exit_code == 1
    assert "!! it adds 2 images instead of one" in result.stderr
    assert bench.posted() == []


def test_another_image_than_the_one_named_is_refused(run: Any, bench: Bench, maker: Any) -> None:
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    bench.serve(_restaged(bench, _artifact("6.6.6", 66, leaf)))
    result = bench.sign(run, "--yes")
    assert result.exit_code == 1
    assert "another image than the one you named" in result.stderr
    assert bench.posted() == []


def test_a_key_of_another_role_is_refused(run: Any, bench: Bench) -> None:
    result = bench.sign(run, "--yes", key="snapshot")
    assert result.exit_code == 1
    assert "none of those that count" in result.stderr
    assert bench.posted() == []


def test_without_an_own_root_nothing_is_believed(run: Any, bench: Bench) -> None:
    result = bench.sign(run, "--yes", root="nowhere.json")
    assert result.exit_code == 2
    assert "There is no trusted root at nowhere.json" in result.stderr
    assert bench.posted() == []


def test_a_server_with_metadata_of_its_own_is_refused(run: Any, bench: Bench, home: Path) -> None:
    other = home / "other"
    asyncio.run(DevelopmentCeremony(Bucket(), other, system_clock).ensure(["acme"]))  # type: ignore[arg-type]
    result = bench.sign(run, "--yes", root=str(other / "root.json"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: timestamp.json")
    assert bench.posted() == []


def test_tuf_status_reads_from_the_public_files(run: Any, bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.delenv("AMPWAVE_TOKEN")
    result = run("tuf", "status", "--root", str(bench.folder / "root.json"), "--json")
    assert result.exit_code == 0, result.output
    rows = {row["role"]: row for row in json.loads(result.stdout)}
    assert set(rows) == {"root", "targets", "snapshot", "timestamp", "acme"}
    assert (rows["root"]["threshold"], rows["root"]["keys"]) == (2, 3)
    assert rows["acme"]["releases"] == 0
    assert "2 of 3" in run("tuf", "status", "--root", str(bench.folder / "root.json")).stdout


def test_tuf_verify_works_from_a_folder_without_network(run: Any, bench: Bench, home: Path) -> None:
    mirror = home / "mirror"
    mirror.mkdir()
    for path, data in bench.fake.files.items():
        (mirror / path.rsplit("/", 1)[-1]).write_bytes(data)
    options = ["--dir", str(mirror), "--root", str(bench.folder / "root.json")]
    assert run("tuf", "verify", *options).stdout.endswith("It holds: 5 roles, 0 releases, nothing expired.\n")
    stamp = mirror / "timestamp.json"
    stamp.write_bytes(stamp.read_bytes().replace(b'"expires":"20', b'"expires":"29'))
    broken = run("tuf", "verify", *options)
    assert broken.exit_code == 1
    assert broken.stderr.startswith("Error: timestamp.json")
    assert bench.fake.seen == []


def test_key_create_makes_a_private_file_and_never_overwrites(run: Any, home: Path) -> None:
    made = json.loads(run("key", "create", "ada.pem", "--json").stdout)
    assert (home / "ada.pem").stat().st_mode & 0o777 == 0o600
    assert made["keyid"] == public_of_file(home / "ada.pem").keyid
    before = (home / "ada.pem").read_bytes()
    again = run("key", "create", "ada.pem")
    assert again.exit_code == 2
    assert "never overwritten" in again.stderr
    assert (home / "ada.pem").read_bytes() == before
    assert run("key", "create", "ada").exit_code == 2


def test_key_list_shows_ids_and_addresses(run: Any, home: Path) -> None:
    assert "No keys in" in run("key", "list").stdout
    run("key", "create", "ada.pem")
    [key] = json.loads(run("key", "list", "--dir", ".", "--json").stdout)
    assert (key["name"], key["address"]) == ("ada", file_address(home / "ada.pem"))
    assert key["keyid"][:12] in run("key", "list", "--dir", ".").stdout


class TestDevelop:
    @pytest.fixture
    def bucket(self, monkeypatch: pytest.MonkeyPatch) -> Bucket:
        from contextlib import asynccontextmanager

        from api import bootstrap

        bucket = Bucket()

        @asynccontextmanager
        async def open_blobs(settings: Any) -> Any:
            yield bucket

        monkeypatch.setattr(bootstrap, "open_blobs", open_blobs)
        monkeypatch.setenv("AMPWAVE_S3_ENDPOINT", "http://s3.invalid")
        return bucket

    def test_it_makes_a_repository_that_verifies(
        self, run: Any, fake: Any, bucket: Bucket, home: Path, maker: DevelopmentManufacturer
    ) -> None:
        (home / "acme.pem").write_text(maker.root)
        made = run("tuf", "develop", "--role", "acme", "--manufacturer-root", "acme:acme.pem")
        assert made.exit_code == 0, made.output
        assert "A new repository was made." in made.stdout
        assert "FOR DEVELOPMENT" in made.stdout
        again = json.loads(run("tuf", "develop", "--role", "acme", "--role", "volta", "--json").stdout)
        assert (again["created"], again["vendor_roles"]) == (False, ["acme", "volta"])
        for key, data in bucket.objects.items():
            fake.files[f"/{key}"] = data
        assert run("tuf", "verify").stdout.endswith("It holds: 6 roles, 0 releases, nothing expired.\n")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--role", "acme", "--manufacturer-root", "acme"], "is not ROLE:FILE"),
            (["--role", "acme", "--manufacturer-root", "acme:none.pem"], "cannot be read"),
            (["--role", "acme", "--manufacturer-root", "other:x.pem"], "which no --role names"),
            (["--role", "acme", "--manufacturer-root", "acme:plain.pem"], "is not a PEM certificate"),
        ],
    )
    def test_what_makes_no_sense_makes_nothing(
        self, run: Any, bucket: Bucket, home: Path, maker: Any, options: list[str], said: str
    ) -> None:
        (home / "x.pem").write_text(maker.root)
        (home / "plain.pem").write_text("hello")
        result = run("tuf", "develop", *options)
        assert result.exit_code == 2
        assert said in result.stderr
        assert bucket.objects == {}

    def test_without_a_bucket_it_says_what_to_do(self, run: Any) -> None:
        result = run("tuf", "develop", "--role", "acme")
        assert result.exit_code == 2
        assert "AMPWAVE_S3_ENDPOINT" in result.stderr

    def test_the_bucket_of_up_is_found_in_its_data_folder(self, home: Path) -> None:
        from api.cli.ceremony import bucket_settings
        from api.settings import Settings

        (home / ".ampwave/s3").mkdir(parents=True)
        (home / ".ampwave/s3/access-key").write_text("a\n")
        (home / ".ampwave/s3/secret-key").write_text("s\n")
        found = bucket_settings(Settings(s3_port=8444))
        assert found.s3_endpoint == "http://127.0.0.1:8444"
        assert found.s3_secret_key is not None
        assert found.s3_secret_key.get_secret_value() == "s"
