"""Brick or network: labelled scenarios, and what must hold whatever is known (X7)."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.facts import AttemptFacts, RouteFacts, Sighting
from activities.silence_facts import SilenceFacts
from storage.events import FirmwareStatus
from tests.unit.workflows.facts import NOW
from workflows.attest import Attempt, Finding, judge_deadline, judge_stage
from workflows.silence import Blame, diagnose

pytestmark = pytest.mark.requirement("X7")
ATTEMPT = Attempt("1.1", NOW - timedelta(hours=1), 7)


def facts(**known: object) -> SilenceFacts:
    return SilenceFacts(gone_at=NOW - timedelta(minutes=50), **known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scenario:
    """What happened in the field, and whom a technician would have blamed."""

    what: str
    seen: SilenceFacts
    label: Blame
    touched: bool = True


SCENARIOS = (
    Scenario("the depot's router lost its uplink", facts(neighbours=8, away=8, together=8), Blame.NETWORK),
    Scenario(
        "power cut of a whole site, two chargers on another meter",
        facts(neighbours=9, away=7, together=7),
        Blame.NETWORK,
    ),
    Scenario(
        "two chargers behind one modem that hangs",
        facts(neighbours=1, away=1, together=1, same_router=True),
        Blame.NETWORK,
    ),
    Scenario(
        "the only other charger of the site happened to restart",
        facts(neighbours=1, away=1, together=1),
        Blame.CHARGER,
    ),
    Scenario("it alone is gone among eight", facts(neighbours=8), Blame.CHARGER),
    Scenario("it alone, before it began to install", facts(neighbours=8), Blame.CHARGER, touched=False),
    Scenario(
        "three others have been broken for days", facts(neighbours=8, away=3, together=0), Blame.CHARGER
    ),
    Scenario(
        "everybody there has been away, but since long before",
        facts(neighbours=4, away=4, together=0),
        Blame.CHARGER,
    ),
    Scenario(
        "half of the site went with it: no majority", facts(neighbours=4, away=2, together=2), Blame.CHARGER
    ),
    Scenario("a lone roadside charger", facts(), Blame.UNKNOWN),
    Scenario(
        "a model that takes an hour to restart",
        facts(neighbours=3, reboots=20, longest_reboot_s=3600.0),
        Blame.STARTING,
    ),
    Scenario(
        "the same model, and the network is gone as well",
        facts(neighbours=3, away=3, together=3, reboots=20, longest_reboot_s=3600.0),
        Blame.NETWORK,
    ),
    Scenario(
        "a model that is back within a minute",
        facts(neighbours=3, reboots=20, longest_reboot_s=60.0),
        Blame.CHARGER,
    ),
    Scenario(
        "one that took an hour once, in too few updates to say so",
        facts(neighbours=3, reboots=4, longest_reboot_s=3600.0),
        Blame.CHARGER,
    ),
)


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.what)
def test_a_silent_charger_is_judged_as_a_technician_would(one: Scenario) -> None:
    found = diagnose(one.seen, NOW, touched=one.touched)
    assert found.blame is one.label
    assert found.reason


@pytest.mark.requirement("R24")
def test_silence_counts_whoever_is_to_blame_and_only_the_network_is_no_suspicion() -> None:
    for one in SCENARIOS:
        away = AttemptFacts(None, False, None, 7, (), silence=one.seen)
        verdict = judge_deadline(ATTEMPT, away, NOW)
        assert verdict.finding is Finding.SILENT
        assert verdict.suspicious is (one.label is not Blame.NETWORK)
        assert verdict.reason.startswith("it did not come back before the deadline; ")


@given(
    neighbours=st.integers(0, 50),
    away=st.integers(0, 50),
    together=st.integers(0, 50),
    router=st.booleans(),
    reboots=st.integers(0, 50),
    longest=st.none() | st.floats(0, 1e6),
    touched=st.booleans(),
)
def test_without_a_majority_that_went_with_it_the_network_is_never_blamed(
    neighbours: int,
    away: int,
    together: int,
    router: bool,
    reboots: int,
    longest: float | None,
    touched: bool,
) -> None:
    away = min(away, neighbours)
    together = min(together, away)
    seen = SilenceFacts(NOW - timedelta(hours=1), neighbours, away, together, router, reboots, longest)
    found = diagnose(seen, NOW, touched=touched)
    if together * 2 <= neighbours:
        assert found.blame is not Blame.NETWORK
    if neighbours == 0:
        assert found.blame in (Blame.UNKNOWN, Blame.STARTING)


STUCK = AttemptFacts(RouteFacts("n", "b", 1), True, NOW, 7, (), stuck="Downloading has lasted 900 s")


def said(status: FirmwareStatus) -> Sighting:
    return Sighting(1, NOW - timedelta(minutes=1), booted=False, status=status, request_id=7)


@pytest.mark.requirement("R23", "R26")
def test_a_download_that_no_charger_of_its_model_ever_took_is_asked_for_anew() -> None:
    verdict = judge_stage(ATTEMPT, STUCK, [said(FirmwareStatus.DOWNLOADING)])
    assert verdict is not None
    assert (verdict.finding, verdict.retryable, verdict.suspicious) == (Finding.OVERDUE, True, False)
    assert "900 s" in verdict.reason
    assert judge_stage(ATTEMPT, AttemptFacts(STUCK.route, True, NOW, 7, ()), []) is None


@pytest.mark.requirement("R23")
@pytest.mark.parametrize(
    "begun", [FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING, FirmwareStatus.INSTALLED]
)
def test_an_install_is_never_interrupted_however_long_it_takes(begun: FirmwareStatus) -> None:
    assert judge_stage(ATTEMPT, STUCK, [said(begun)]) is None
