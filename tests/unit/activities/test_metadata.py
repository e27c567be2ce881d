"""People hear of metadata that runs out or cannot be read, once for each stage, and of its end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.metadata import CeremonyActivities, CeremonyOrder, MetadataActivities
from activities.refusals import Refusals
from signing.expiry import RoleExpiry, advice, expiry_notices
from storage.canonical import sha256_hex
from storage.errors import EngineUnavailable
from storage.ids import ceremony_key
from storage.incident import IncidentKind
from tests.support.memory_watch import MemoryIncidents
from tests.unit.activities.world import World

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class Watch:
    """The activity over roles as a test sets them."""

    def __init__(self, **days: float) -> None:
        self.now = NOON
        self.incidents = MemoryIncidents()
        self.roles = {role: NOON + timedelta(days=left) for role, left in days.items()}
        self.failure: Exception | None = None

    async def read(self) -> Sequence[RoleExpiry]:
        if self.failure:
            raise self.failure
        return [RoleExpiry(role, 1, expires) for role, expires in self.roles.items()]

    async def look(self) -> set[str]:
        await MetadataActivities(self.read, self.incidents, lambda: self.now).watch_metadata()
        return {one.subject for one in self.incidents.rows if one.closed_at is None}


@pytest.mark.requirement("S14")
async def test_each_stage_is_told_once_and_ends_when_the_role_is_signed_anew() -> None:
    watch = Watch(root=100, acme=31)
    assert await watch.look() == set()
    told = [(29, {"30d"}), (13, {"30d", "14d"}), (2, {"30d", "14d", "3d"}), (-1, {"expired"})]
    for left, stages in told:
        watch.now = watch.roles["acme"] - timedelta(days=left)
        for _ in range(2):
            assert await watch.look() == {f"tuf/acme/{stage}" for stage in stages}
    assert len(watch.incidents.rows) == 4
    watch.roles["acme"] = watch.now + timedelta(days=90)
    watch.roles["root"] = watch.now + timedelta(days=90)
    assert await watch.look() == set()
    assert {one.kind for one in watch.incidents.rows} == {IncidentKind.METADATA_EXPIRING}
    assert all("acme" in one.summary for one in watch.incidents.rows)


@pytest.mark.requirement("S14")
async def test_a_signer_that_stopped_is_noticed_before_its_files_run_out() -> None:
    watch = Watch(timestamp=1, snapshot=7, root=300)
    assert await watch.look() == set()
    watch.now += timedelta(hours=19)
    assert await watch.look() == {"tuf/timestamp/late"}
    watch.now += timedelta(hours=6)
    assert await watch.look() == {"tuf/timestamp/expired"}


@pytest.mark.requirement("S20")
async def test_metadata_that_cannot_be_read_is_an_alarm_until_it_can() -> None:
    watch = Watch(root=300)
    watch.failure = EngineUnavailable("The S3 server refused GetObject: 403.")
    assert await watch.look() == {"tuf"}
    assert "403" in watch.incidents.rows[0].summary
    watch.failure = None
    assert await watch.look() == set()


@pytest.mark.requirement("S14")
@pytest.mark.parametrize(("days", "said"), [(31, ""), (29, "plan to"), (13, "anew"), (2, "now"), (-1, "now")])
def test_advice_says_how_urgent_it_is(days: int, said: str) -> None:
    words = advice("acme", NOON + timedelta(days=days), NOON)
    assert said in words
    assert bool(words) == bool(said)


def test_no_roles_make_no_notices() -> None:
    assert expiry_notices((), NOON) == ()


@pytest.mark.requirement("S65")
async def test_a_ceremony_is_read_back_by_its_hash_and_put_on_record() -> None:
    world = World()
    acts = CeremonyActivities(world.stores, world.blobs, world, Refusals(world.stores))  # type: ignore[arg-type]
    order = CeremonyOrder(sha256_hex(b"ada"), "mary")
    world.blobs.objects[ceremony_key(order.sha256)] = b"ada"
    stamp = await acts.conclude_ceremony(order)
    assert stamp.signers == ("ada",)
    [entry] = world.audit.rows
    assert (entry.actor, entry.action, entry.detail["root_version"]) == ("mary", "tuf.published", 2)
    world.blobs.objects[ceremony_key(order.sha256)] = b"eve"
    with pytest.raises(ApplicationError, match="not the one that was handed in"):
        await acts.conclude_ceremony(order)
    refused = world.audit.rows[-1]
    assert (refused.actor, refused.action) == ("signer", "signer.refused")
    assert refused.detail["asked"] == "conclude_ceremony"
