"""The two state machines: every pair is either a move or a refusal, and the picture is the table."""

from pathlib import Path

import pytest

import workflows
from storage.campaign import TERMINAL_CAMPAIGN_PHASES, CampaignPhase, TargetPhase
from storage.errors import Conflict
from workflows.connection_rules import MOVES, ConnectionPhase
from workflows.phases import CAMPAIGN_MOVES, TARGET_MOVES, CampaignMove, TargetMove, advance, can, diagram

README = Path(workflows.__path__[0]) / "README.md"
MACHINES = [
    (CAMPAIGN_MOVES, CampaignPhase, CampaignMove, CampaignPhase.DRAFT),
    (TARGET_MOVES, TargetPhase, TargetMove, TargetPhase.PENDING),
]


@pytest.mark.parametrize(("table", "phases", "moves", "start"), MACHINES)
def test_every_pair_of_phase_and_move(table, phases, moves, start) -> None:
    for phase in phases:
        for move in moves:
            if (phase, move) in table:
                assert advance(table, phase, move) is table[phase, move]
                assert can(table, phase, move)
            else:
                assert not can(table, phase, move)
                with pytest.raises(Conflict, match=f"'{move.value}' is not possible while '{phase.value}'"):
                    advance(table, phase, move)


@pytest.mark.parametrize(("table", "phases", "moves", "start"), MACHINES)
def test_every_phase_can_be_reached_and_every_move_is_used(table, phases, moves, start) -> None:
    reached = {start}
    while more := {after for (phase, _), after in table.items() if phase in reached} - reached:
        reached |= more
    assert reached == set(phases)
    assert {move for _, move in table} == set(moves)


def test_final_phases_are_final() -> None:
    leaving = {phase for phase, _ in CAMPAIGN_MOVES}
    assert set(CampaignPhase) - leaving == set(TERMINAL_CAMPAIGN_PHASES)
    assert set(TargetPhase) - {phase for phase, _ in TARGET_MOVES} == {TargetPhase.DONE}


@pytest.mark.requirement("R30")
def test_whatever_is_not_over_can_be_stopped() -> None:
    stoppable = {phase for phase, move in CAMPAIGN_MOVES if move is CampaignMove.ABORT}
    assert stoppable == set(CampaignPhase) - TERMINAL_CAMPAIGN_PHASES - {CampaignPhase.ABORTING}


DRAWN = [*((machine[0], machine[3]) for machine in MACHINES), (MOVES, ConnectionPhase.CHECK)]


@pytest.mark.parametrize(("table", "start"), DRAWN)
def test_the_readme_shows_the_table(table, start) -> None:
    assert f"```mermaid\n{diagram(table, start)}\n```" in README.read_text()
