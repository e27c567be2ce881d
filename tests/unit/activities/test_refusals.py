"""What the signer refuses is on record; a flood is, too, without filling the record."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.signer import DirectiveOrder, SignerActivities
from signing.errors import TooHasty, VerificationFailed
from tests.unit.activities.world import World


@pytest.fixture
def world() -> World:
    return World()


def refused(world: World) -> list[dict[str, object]]:
    return [
        {"subject": entry.subject, **entry.detail}
        for entry in world.audit.rows
        if entry.action == "signer.refused"
    ]


class Refusing:
    """A signer whose policy says no to everything."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str):
        async def refuse(*_: object) -> None:
            raise self.error

        return refuse


def activities(world: World, error: Exception) -> SignerActivities:
    return SignerActivities(world.stores, Refusing(error), lambda: "n" * 32)  # type: ignore[arg-type]


@pytest.mark.requirement("S64")
async def test_what_the_signer_refuses_is_on_record_with_the_reason(world: World) -> None:
    artifact = world.add_artifact("1.1", 11)
    signer = activities(world, VerificationFailed("acme 1002 skips versions (S64)."))
    with pytest.raises(ApplicationError, match="skips versions"):
        await signer.stage_release(artifact.artifact_id)
    assert refused(world) == [
        {
            "subject": f"artifact/{artifact.artifact_id}",
            "asked": "stage_release",
            "kind": "VerificationFailed",
            "reason": "acme 1002 skips versions (S64).",
        }
    ]


@pytest.mark.requirement("S64")
async def test_a_thousand_requests_leave_a_few_rows_and_the_count(world: World) -> None:
    artifact = world.add_artifact("1.1", 11)
    signer = activities(world, TooHasty("60 times a minute."))
    for _ in range(1000):
        with pytest.raises(ApplicationError) as error:
            await signer.stage_release(artifact.artifact_id)
        assert not error.value.non_retryable
    assert len(refused(world)) == 20
    world.now += timedelta(seconds=6)
    with pytest.raises(ApplicationError):
        await signer.stage_release(artifact.artifact_id)
    assert refused(world)[-1]["not_written_before"] == 980
    for _ in range(5):
        with pytest.raises(ApplicationError):
            await signer.stage_release(artifact.artifact_id)
    await signer.refusals.flush()
    rows = refused(world)
    written = len([row for row in rows if row["asked"] != "many"])
    counted = sum(int(row.get("not_written_before", 0)) for row in rows) + int(
        str(rows[-1]["reason"]).split()[0]
    )
    assert written + counted == 1006


@pytest.mark.requirement("S17", "S64")
async def test_a_directive_that_nobody_approved_is_refused_and_on_record(world: World) -> None:
    await world.add_campaign([world.add_chargers(2)], world.plan(1, required_approvals=2))
    await world.approve("c1", "grace")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    with pytest.raises(ApplicationError):
        await signer.sign_directive(DirectiveOrder("c1", 0, 0, 1, 0, 500, 3600.0))
    assert [(row["subject"], row["kind"]) for row in refused(world)] == [("campaign/c1", "DirectiveRefused")]
