"""Any process may be killed at any instant: nothing is lost, nothing is sent twice (DESIGN section 1, 7)."""

from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ONE_WAVE = [{"name": "all", "share": 1.0}]


def under_way(targets: list[dict[str, Any]]) -> bool:
    """Some chargers have the command, others are still to come."""
    return any(one["phase"] in ("dispatched", "confirming") for one in targets)


async def assert_ended_right(stack: Any, campaign_id: str, version: str, before: dict[str, Any]) -> None:
    campaign = await stack.until_ended(campaign_id)
    targets = await stack.targets(campaign_id)
    assert campaign["phase"] == "completed", campaign["reason"]
    outcomes = {one["charger_id"]: one["outcome"] for one in targets}
    assert set(outcomes.values()) == {"updated"}, outcomes
    ledger = await stack.truth()
    assert ledger["totals"]["by_version"] == {version: len(outcomes)}
    for promise in ("sessions_cut", "unsigned_commands", "badly_signed_commands", "sites_dark"):
        assert ledger["totals"][promise] == before["totals"][promise], promise
    different = "different_images_while_updating"
    assert ledger["totals"][different] == before["totals"][different]
    assert await stack.lost_events() == 0


@pytest.mark.requirement("R24", "R28")
@pytest.mark.parametrize("role", ["worker", "csms", "api", "relay", "signer"])
async def test_a_role_killed_in_the_middle_of_a_campaign_changes_nothing(stack, role):
    before = await stack.truth()
    version, artifact_id = await stack.release()
    campaign_id = await stack.start_campaign(artifact_id, ONE_WAVE)
    await stack.until_targets(campaign_id, under_way)
    dead = stack.supervisor.kill(role)
    await stack.supervisor.wait_restarted(role, dead)
    await assert_ended_right(stack, campaign_id, version, before)


async def test_temporal_killed_and_started_again_in_the_middle_of_a_campaign_changes_nothing(stack):
    before = await stack.truth()
    version, artifact_id = await stack.release()
    campaign_id = await stack.start_campaign(artifact_id, ONE_WAVE)
    await stack.until_targets(campaign_id, under_way)
    stack.engines.temporal.kill()
    await stack.engines.temporal.restart()
    await assert_ended_right(stack, campaign_id, version, before)


@pytest.mark.requirement("F119", "F26", "R48")
async def test_a_bad_release_is_stopped_by_the_gate_and_taken_back(stack):
    good_version, good = await stack.release()
    waves = [{"name": "canary", "share": 0.5}, {"name": "rest", "share": 0.5}]
    first = await stack.start_campaign(good, ONE_WAVE)
    assert (await stack.until_ended(first))["phase"] == "completed"
    before = await stack.truth()
    bad_version, bad = await stack.release(faulted_share=0.9, boot_loop_share=0.1)
    gate = {"min_attempts": 3, "hold_seconds": 2, "max_looks": 15}
    second = await stack.start_campaign(bad, waves, rollback_artifact_id=good, gate=gate)
    campaign = await stack.until_ended(second)
    assert campaign["phase"] == "rolled_back", (campaign["reason"], await stack.targets(second))
    reached = {
        one["charger_id"] for one in await stack.targets(second) if one["outcome"] in ("updated", "failed")
    }
    ledger = await stack.truth()
    assert ledger["totals"]["by_version"] == {good_version: len(ledger["chargers"])}
    spared = set(ledger["chargers"]) - reached
    assert len(spared) >= len(ledger["chargers"]) // 2
    for charger_id in spared:
        ran = {entry["version"] for entry in ledger["chargers"][charger_id]["versions"]}
        assert bad_version not in ran
    assert ledger["totals"]["sessions_cut"] == before["totals"]["sessions_cut"]
    await stack.until_nobody_is_left_behind(second)
    assert await stack.incidents("suspected_intrusion") == [], "it was our own update"
