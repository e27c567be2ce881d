"""Several images of one vendor are staged: one is published, and the others can still be signed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentManufacturer
from signing.errors import StaleStage
from signing.keys import file_address
from signing.service import OnlineKeys, SigningService
from signing.sign_off import Review, collect_evidence, review, sign
from signing.trust_source import fetch_from
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff
from storage.canonical import sha256_hex
from storage.charger import SignatureScheme
from storage.clock import system_clock
from storage.errors import Conflict
from tests.integration.workflows.harness import Harness, until
from tests.support.signing_library import Bucket
from tests.unit.activities.world import START, World

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S16")]
P = ArtifactPhase


@dataclass
class Desk:
    """A real repository, the signer at it, and its people; artifacts and phases are the world's."""

    world: World
    folder: Path
    bucket: Bucket
    root: bytes
    maker: DevelopmentManufacturer
    real: Harness

    async def put_up(self, version: str, counter: int) -> str:
        """Upload and stage one."""
        image, leaf = version.encode(), self.maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
        artifact_id = sha256_hex(image)
        await self.bucket.put_bytes(artifact_id, image)
        self.world.artifacts.rows[artifact_id] = Artifact(
            artifact_id=artifact_id,
            vendor_role="acme",
            version=version,
            release_counter=counter,
            length=len(image),
            compatible=(Compatible("Acme", "AC22"),),
            vendor_signatures=(leaf.sign(image),),
            phase=P.UPLOADED,
            uploaded_by="ada",
            uploaded_at=START,
        )
        await self.real.orchestrator.start_publication(artifact_id)
        await self.enters(artifact_id, P.AWAITING_SIGNATURES)
        return artifact_id

    async def enters(self, artifact_id: str, phase: ArtifactPhase) -> None:
        await until(lambda: self.world.artifacts.rows[artifact_id].phase is phase)

    async def staged_as(self, artifact_id: str, version: int) -> None:
        await until(lambda: self.world.artifacts.staged_rows[artifact_id].version == version)
        await until(lambda: f"sign version {version} of" in self.reason(artifact_id))

    def reason(self, artifact_id: str) -> str:
        return self.world.artifacts.rows[artifact_id].reason

    async def review(self, artifact_id: str) -> Review:
        evidence = await collect_evidence(fetch_from(self.bucket), "acme")  # type: ignore[arg-type]
        payload = self.world.artifacts.staged_rows[artifact_id].payload
        return await review("acme", payload, evidence, self.root, system_clock())

    async def sign(self, artifact_id: str, *people: str) -> None:
        for person in people:
            seen = await self.review(artifact_id)
            keyid, signature = sign(seen, file_address(self.folder / f"acme-{person}.pem"))
            given = SignOff(artifact_id, seen.sha256, keyid, signature, person, system_clock())
            await self.real.orchestrator.sign_off(given)

    def stagings(self, artifact_id: str) -> list[dict[str, object]]:
        subject, action = f"artifact/{artifact_id}", "artifact.awaiting_signatures"
        rows = [row for row in self.world.audit.rows if (row.subject, row.action) == (subject, action)]
        return [dict(row.detail) for row in rows]


@pytest.fixture
async def desk(real: Harness, world: World, tmp_path: Path) -> Desk:
    bucket, maker = Bucket(), DevelopmentManufacturer.create("acme", system_clock())
    ceremony = DevelopmentCeremony(bucket, tmp_path / "keys", system_clock)  # type: ignore[arg-type]
    made = await ceremony.ensure(["acme"], manufacturer_roots={"acme": (maker.root,)})
    keys = OnlineKeys.in_folder(tmp_path / "keys")
    signer = SigningService(bucket, made.trusted_root, keys, system_clock)  # type: ignore[arg-type]
    for name in ("stage", "outdated", "check_sign_off", "publish"):
        setattr(world, name, getattr(signer, name))
    return Desk(world, tmp_path / "keys", bucket, made.trusted_root, maker, real)


async def test_the_others_are_staged_again_when_one_is_published(desk: Desk) -> None:
    first, second, third, fourth = [await desk.put_up(f"1.{number}", number) for number in (3, 4, 5, 6)]
    await desk.sign(second, "release")
    await desk.sign(first, "release", "qa")
    await desk.enters(first, P.RELEASED)

    for one in (second, third, fourth):
        await desk.staged_as(one, 3)
        assert (await desk.review(one)).flags == ()
    assert desk.reason(second) == (
        "Version 2 of acme was published first, so it was staged again and the signatures are void;"
        " sign it again: 2 people have to sign version 3 of acme"
    )
    assert "void" not in desk.reason(third), "nobody had signed it"
    before, after = desk.stagings(second)
    assert (before["role_version"], after["role_version"]) == (2, 3)
    assert len(str(after["void"])) == 64, "the key whose signature is gone is on record"

    await desk.sign(third, "release", "qa")
    await desk.enters(third, P.RELEASED)
    await desk.enters(second, P.REJECTED)
    assert "release counter 4 must be above 5" in desk.reason(second)
    await desk.staged_as(fourth, 4)
    await desk.sign(fourth, "qa", "release")
    await desk.enters(fourth, P.RELEASED)


async def test_who_comes_to_sign_what_is_stale_has_it_staged_again(desk: Desk) -> None:
    """Nobody told it: as after a ceremony, or where an older version of ours published the other one."""
    first, second = await desk.put_up("1.3", 3), await desk.put_up("1.4", 4)
    desk.world.artifacts.overtaken = nobody  # type: ignore[method-assign]
    await desk.sign(first, "release", "qa")
    await desk.enters(first, P.RELEASED)
    with pytest.raises(StaleStage):
        await desk.review(second)

    await desk.real.orchestrator.look_again(second)

    assert "Version 2 of acme was published first" in desk.reason(second)
    await desk.sign(second, "release")
    await desk.real.orchestrator.look_again(second)
    assert len(await desk.world.artifacts.sign_offs(second)) == 1, "what can be published stays signed"
    assert len(desk.stagings(second)) == 2
    await desk.sign(second, "qa")
    await desk.enters(second, P.RELEASED)
    with pytest.raises(Conflict):
        await desk.real.orchestrator.look_again(second)


async def nobody(role: str, version: int) -> list[str]:
    return []


async def test_a_lower_counter_than_a_released_one_is_refused_to_who_asks(desk: Desk) -> None:
    low, high = await desk.put_up("1.3", 3), await desk.put_up("1.4", 4)
    desk.world.artifacts.overtaken = nobody  # type: ignore[method-assign]
    await desk.sign(high, "release", "qa")
    await desk.enters(high, P.RELEASED)

    await desk.real.orchestrator.look_again(low)

    assert desk.world.artifacts.rows[low].phase is P.REJECTED
    assert "release counter 3 must be above 4" in desk.reason(low)
