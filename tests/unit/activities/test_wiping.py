import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.wiping import COMMANDS, customers_state, of_password, removable, sentence, state_of
from csms.commands import AnswerStatus
from csms.ports import PasswordChange
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from storage.command import CommandEnd, CommandState
from storage.credentials import PendingFate
from storage.retirement import WIPES, Step, StepRecord, StepState, Wiped, wiped
from tests.unit.activities.world import START


def answered(status: AnswerStatus) -> CommandEnd:
    return CommandEnd(CommandState.ANSWERED, f"it answered {status.value}", status.value)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (AnswerStatus.ACCEPTED, StepState.DONE),
        (AnswerStatus.NOT_FOUND, StepState.DONE),
        (AnswerStatus.SCHEDULED, StepState.DONE),
        (AnswerStatus.REJECTED, StepState.REFUSED),
        (AnswerStatus.FAILED, StepState.REFUSED),
        (AnswerStatus.NOT_IMPLEMENTED, StepState.UNSUPPORTED),
    ],
)
def test_an_answer_means_what_the_charger_said(status: AnswerStatus, state: StepState) -> None:
    assert state_of([answered(status)]) is state
    assert status.value in sentence([answered(status)])


def test_every_status_and_end_means_something_and_silence_is_never_done() -> None:
    for status in AnswerStatus:
        assert state_of([answered(status)]) in StepState
    silent = CommandEnd(CommandState.SILENT, "no answer")
    for status in AnswerStatus:
        assert state_of([answered(status), silent]) is StepState.UNKNOWN
    assert state_of([]) is StepState.NOTHING


def test_what_it_needs_to_come_back_and_to_check_firmware_stays() -> None:
    at = CertificateHash(HashAlgorithm.SHA256, "a", "b", "1")
    kept = removable([InstalledCertificate(use, at) for use in CertificateUse])
    assert {each.use for each in kept} == {CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT}


def test_of_a_password_only_a_yes_counts() -> None:
    told = {fate: of_password(PasswordChange(fate, None))[0] for fate in PendingFate}
    assert told[PendingFate.PROMOTE] is StepState.DONE
    assert told[PendingFate.HOLD] is StepState.UNKNOWN
    assert told[PendingFate.DROP] is StepState.REFUSED
    unable = PasswordChange(PendingFate.DROP, AnswerStatus.NOT_IMPLEMENTED)
    assert of_password(unable)[0] is StepState.UNSUPPORTED


@pytest.mark.parametrize("states", list(itertools.product([None, *StepState], repeat=2)))
def test_customers_are_gone_only_if_list_and_cache_are(
    states: tuple[StepState | None, StepState | None],
) -> None:
    clean = (StepState.DONE, StepState.UNSUPPORTED, StepState.NOTHING)
    state, _ = customers_state(*states)
    assert (state is StepState.DONE) == (StepState.DONE in states and all(each in clean for each in states))


@pytest.mark.requirement("F47")
@given(st.dictionaries(st.sampled_from(list(Step)), st.sampled_from(list(StepState))))
def test_nothing_is_called_wiped_that_no_charger_confirmed(states: dict[Step, StepState]) -> None:
    said = wiped([StepRecord(step, state, "", START) for step, state in states.items()])
    bad = (None, StepState.UNREACHED, StepState.UNKNOWN, StepState.REFUSED)
    if any(states.get(step) in bad for step in WIPES):
        assert said is not Wiped.WIPED
    if all(states.get(step) is StepState.DONE for step in WIPES):
        assert said is Wiped.WIPED
    if not any(states.get(step) is StepState.DONE for step in WIPES):
        assert said is Wiped.UNWIPED


def test_every_wipe_is_a_list_of_commands_or_has_a_way_of_its_own() -> None:
    assert set(WIPES) - set(COMMANDS) == {Step.CUSTOMERS, Step.ROOTS, Step.PASSWORD}
