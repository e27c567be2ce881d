"""What a layout says of the policy that the targets people sign, and what stays as it is."""

from pathlib import Path
from typing import Any

import pytest

from signing.bundle import read_bundle, write_bundle
from signing.holding import review
from signing.layout import Approvers
from signing.policy import Approver, TrustPolicy
from signing.trust_source import fetch_from
from tests.support.watched_repository import NOW, Stage

MODEL = {"vendor": "A", "model": "B", "minimum_counter": 7, "unsafe_unsigned_waiver": None}


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await Stage(tmp_path).found()


async def signed(stage: Stage, **changes: Any) -> tuple[TrustPolicy, str]:
    """The policy in force after a ceremony of this change, and what was shown before signing."""
    stage.people.change(**changes)
    bundle = await stage.people.next(fetch_from(stage.blobs), NOW, renew=["targets"])
    shown = "\n".join(review(read_bundle(write_bundle(bundle)), stage.people.root, NOW).lines)
    await stage.service_of(write_bundle(stage.people.sign(bundle, ("mary", "hedy"), NOW)))
    return (await stage.readers.ours()).policy, shown


@pytest.mark.requirement("S15", "S24")
async def test_approvers_stay_until_a_layout_says_otherwise_and_that_is_said_aloud(stage: Stage) -> None:
    ada = Approver("ada", stage.people.key("ada"))
    policy, shown = await signed(stage, approvers=Approvers(1, (ada,)))
    assert [one.name for one in policy.approvers.values()] == ["ada"]
    assert "+ approver ada (key" in shown
    policy, shown = await signed(stage, approvers=None, policy={"models": [MODEL], "directive_keys": {}})
    assert (len(policy.approvers), policy.of_model("A", "B").minimum_counter) == (1, 7)
    assert policy.directive_keys, "what the layout says elsewhere is not taken away"
    assert "approver" not in shown
    policy, shown = await signed(stage, approvers=Approvers(1, ()), policy=None)
    assert (policy.approvers, policy.of_model("A", "B").minimum_counter) == ({}, 7)
    assert "- approver ada" in shown
    assert "! Nobody approves campaigns with a key of their own any more" in shown
