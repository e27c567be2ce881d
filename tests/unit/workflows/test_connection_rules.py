"""Every way of bringing a charger to another connection ends, in service, with its way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.connection_orders import ConnectionAnswer
from activities.orders import DispatchKind
from storage.renewal import RenewalOutcome
from workflows.connection_rules import ENDS, MOVES, ConnectionPhase, Said, advance, heard

P, S = ConnectionPhase, Said
SAID = {phase: [said for at, said in MOVES if at is phase] for phase in P}


@given(st.data())
def test_every_way_ends_and_whoever_was_taken_out_goes_back(data: st.DataObject) -> None:
    phase, way, ends = P.CHECK, [P.CHECK], []
    while phase is not P.OVER:
        said = data.draw(st.sampled_from(SAID[phase]))
        if (phase, said) in ENDS:
            ends.append(ENDS[phase, said])
        away = (phase, said) == (P.PROVE, S.AWAY)
        phase = advance(phase, said)
        way.append(phase)
        assert len(way) <= len(P) + 1, "no phase comes twice"
    assert ends, "there is a last word"
    if P.WRITE in way and not away:
        assert P.RETURN in way, "it was taken out of service"
    if P.PREFER in way and ends[0] is RenewalOutcome.FAILED:
        assert P.RESTORE in way, "else it would go the new way at its next start"
    if ends[0] is RenewalOutcome.RENEWED:
        assert P.RESTORE not in way


@pytest.mark.parametrize("phase", [phase for phase in P if phase not in (P.PROVE, P.OVER)])
@pytest.mark.parametrize("kind", [kind for kind in DispatchKind if kind is not DispatchKind.HALT])
@pytest.mark.parametrize("by_itself", [True, False])
def test_whatever_a_node_answers_leads_somewhere(
    phase: ConnectionPhase, kind: DispatchKind, *, by_itself: bool
) -> None:
    if kind is DispatchKind.ALREADY and phase is not P.CHECK:
        return  # Only the first look says that.
    for reboot in (True, False):
        said = heard(phase, ConnectionAnswer(kind, reboot=reboot), by_itself=by_itself)
        assert advance(phase, said) in P


def test_a_lost_answer_to_a_1_6_charger_may_have_moved_it_and_to_a_slot_has_not() -> None:
    lost = ConnectionAnswer(DispatchKind.UNKNOWN)
    assert advance(P.WRITE, heard(P.WRITE, lost, by_itself=True)) is P.PROVE
    assert advance(P.WRITE, heard(P.WRITE, lost, by_itself=False)) is P.RETURN
    assert ENDS[P.PROVE, S.AWAY] is RenewalOutcome.LOST
