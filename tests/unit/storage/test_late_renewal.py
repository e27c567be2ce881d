from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.late_renewal import Keeper, LateCharger, lateness
from storage.renewal import FleetWork, RenewalPhase, StandingStill
from storage.twin import Lifecycle

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLAIN = LateCharger("CP-1", NOW + timedelta(days=5), Lifecycle.ACTIVE, online=True, by_itself=True)
STILL = StandingStill("r1", "autumn", RenewalPhase.HELD, "3 of 4 failed", FleetWork.RENEW)


@pytest.mark.parametrize(
    ("charger", "keeper", "why"),
    [
        (PLAIN, Keeper.CHARGER, "its turn has not come"),
        (replace(PLAIN, last="it is charging"), Keeper.CHARGER, "it is charging"),
        (replace(PLAIN, busy="a session is open", last="x"), Keeper.CHARGER, "a session is open"),
        (replace(PLAIN, refused=("no",), busy="x"), Keeper.CHARGER, "its request was refused: no"),
        (replace(PLAIN, online=False, refused=("no",)), Keeper.CHARGER, "it is not connected"),
        (replace(PLAIN, by_itself=False), Keeper.PEOPLE, "nothing is renewed by itself here"),
        (replace(PLAIN, still=STILL, online=False), Keeper.PEOPLE, "'autumn' is held: 3 of 4 failed"),
        (
            replace(PLAIN, still=replace(STILL, phase=RenewalPhase.PAUSED, reason="")),
            Keeper.PEOPLE,
            "'autumn' is paused",
        ),
        (
            replace(PLAIN, still=replace(STILL, work=FleetWork.INSTALL_ROOT), online=False),
            Keeper.CHARGER,
            "it is not connected",
        ),
        (replace(PLAIN, given=True, still=STILL), Keeper.CHARGER, "it has a newer one"),
        (replace(PLAIN, halt="fire", still=STILL), Keeper.PEOPLE, "there is a halt (fire)"),
        (replace(PLAIN, lifecycle=Lifecycle.QUARANTINED, halt="x"), Keeper.PEOPLE, "it is in quarantine"),
    ],
)
def test_what_has_to_go_first_is_named(charger: LateCharger, keeper: Keeper, why: str) -> None:
    found = lateness(charger, NOW)
    assert found.keeper is keeper
    assert found.why.startswith(why)
    assert f"ends on 2026-11-25 12:00 UTC and is not renewed yet: {found.why}. " in found.summary


@given(
    st.builds(
        LateCharger,
        charger_id=st.just("CP-1"),
        not_after=st.datetimes(datetime(2026, 11, 10), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        lifecycle=st.sampled_from(Lifecycle),
        online=st.booleans(),
        by_itself=st.booleans(),
        halt=st.sampled_from(["", "fire"]),
        still=st.sampled_from([None, STILL]),
        given=st.booleans(),
        refused=st.sampled_from([(), ("no",)]),
        busy=st.sampled_from(["", "busy"]),
        last=st.sampled_from(["", "last"]),
    )
)
def test_there_is_always_a_reason_and_a_next_step(charger: LateCharger) -> None:
    found = lateness(charger, NOW)
    assert (found.keeper is Keeper.TIME) == (charger.not_after <= NOW)
    said, _, advice = found.summary.partition(f": {found.why}. ")
    assert found.why
    assert "certificate end" in said
    assert advice
