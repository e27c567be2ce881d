"""A plan that passed the door has the same digest when it comes back from the store: the signer compares."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.schemas.campaigns import PlanBody
from storage.campaign import CampaignPlan
from storage.codec import decode, to_json
from storage.plan_digest import plan_digest

COHORT = (("CP-1",), ("CP-2", "CP-3"))
seconds = st.one_of(st.integers(0, 10**6), st.floats(0, 1e6), st.just(-0.0))
starts = st.sampled_from([None, "2030-01-01T12:00:00+02:00", "2030-01-01T00:00:00.000001Z"])


def stored(plan: CampaignPlan) -> CampaignPlan:
    """Through JSON as PostgreSQL keeps it: its numbers know no -0.0."""

    def without_sign(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_sign(each) for key, each in value.items()}
        if isinstance(value, list):
            return [without_sign(each) for each in value]
        return 0.0 if isinstance(value, float) and value == 0 else value

    return decode(CampaignPlan, without_sign(orjson.loads(orjson.dumps(to_json(plan)))))


@pytest.mark.requirement("S24")
@given(seconds, st.floats(0, 1), st.sampled_from([1, 1.0, 0.1]), starts)
def test_a_plan_comes_back_from_the_store_with_its_digest(
    soak: float, failures: float, share: float, start: str | None
) -> None:
    body = PlanBody.model_validate(
        {
            "name": "Übung",
            "artifact_id": "a" * 64,
            "waves": [{"name": "all", "share": share, "soak_seconds": soak}],
            "gate": {"max_failure_share": failures},
            "start_at": start,
        }
    )
    plan = body.to_noun()
    assert plan_digest(stored(plan), COHORT) == plan_digest(plan, COHORT)
