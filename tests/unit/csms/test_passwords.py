import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.commands import AnswerStatus
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.passwords import Which, fate_of_answer, fate_of_login, new_password, which_password
from csms.secrets import hash_secret
from storage.charger import ChargerCredential
from storage.credentials import PendingFate, PendingSecret

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEPPER = b"p" * 32
LATER, EARLIER = T0 + timedelta(minutes=1), T0 - timedelta(minutes=1)


def test_every_answer_has_a_fate_and_only_a_yes_promotes() -> None:
    fates = {status: fate_of_answer(status) for status in AnswerStatus}
    assert [status for status, fate in fates.items() if fate is PendingFate.PROMOTE] == [
        AnswerStatus.ACCEPTED
    ]
    assert fates[AnswerStatus.REBOOT_REQUIRED] is PendingFate.HOLD
    assert fates[AnswerStatus.REJECTED] is PendingFate.DROP
    assert fates[AnswerStatus.NOT_IMPLEMENTED] is PendingFate.DROP
    assert fate_of_answer(None) is PendingFate.HOLD


@pytest.mark.parametrize("boots", [(), (EARLIER,), (EARLIER, LATER)])
@pytest.mark.parametrize("which", list(Which))
def test_every_login(which: Which, boots: tuple[datetime, ...]) -> None:
    fate = fate_of_login(which, PendingSecret(b"x", T0), boots)
    match which:
        case Which.PENDING:
            assert fate is PendingFate.PROMOTE, "A01.FR.03: the old one dies"
        case Which.NEITHER:
            assert fate is PendingFate.HOLD, "a stranger settles nothing"
        case Which.CURRENT:
            assert fate is (PendingFate.DROP if LATER in boots else PendingFate.HOLD)


def credential(current: str, pending: str | None = None) -> ChargerCredential:
    waiting = None if pending is None else PendingSecret(hash_secret(PEPPER, pending), T0)
    return ChargerCredential("CP-1", hash_secret(PEPPER, current), T0, waiting)


@pytest.mark.parametrize(
    ("offered", "which"), [(b"old", Which.CURRENT), (b"new", Which.PENDING), (b"x", Which.NEITHER)]
)
def test_both_passwords_are_known_while_one_is_pending(offered: bytes, which: Which) -> None:
    assert which_password(PEPPER, credential("old", "new"), offered, hex_forms=False) is which


def test_without_a_credential_nothing_matches() -> None:
    for offered in (b"", bytes(32)):
        assert which_password(PEPPER, None, offered, hex_forms=True) is Which.NEITHER
        assert which_password(PEPPER, credential("old"), offered, hex_forms=True) is Which.NEITHER


@pytest.mark.parametrize("version", [OCPP16, OCPP201, OCPP21])
def test_a_new_password_fits_its_version(version: str) -> None:
    made = {new_password(version) for _ in range(50)}
    alphabet = string.hexdigits.lower() if version == OCPP16 else string.ascii_letters + string.digits
    assert len(made) == 50
    assert all(len(each) == 40 and set(each) <= set(alphabet) for each in made)


def test_a_password_is_in_no_repr() -> None:
    from csms.commands import SetVariables, VariableValue

    assert "hush" not in repr(SetVariables((VariableValue("AuthorizationKey", "hush"),)))


class Exchange:
    """A charger and what we hold of it, through changes, losses, reconnects and restarts."""

    def __init__(self) -> None:
        self.now = T0
        self.live, self.before, self.next_after_boot = "p0", "", ""
        self.credential = credential("p0")
        self.boots: tuple[datetime, ...] = ()
        self.dead: set[str] = set()
        self.made = 0

    def settle(self, fate: PendingFate) -> None:
        pending = self.credential.pending
        assert pending is not None
        if fate is PendingFate.PROMOTE:
            self.dead.add(self.before)
            self.credential = ChargerCredential("CP-1", pending.secret_hmac, pending.since)
        elif fate is PendingFate.DROP:
            self.credential = replace(self.credential, pending=None)

    def change(self, answer: AnswerStatus, *, lost: bool) -> None:
        if self.credential.pending is not None:
            return  # refused: another change is not settled
        self.now += timedelta(minutes=1)
        self.made += 1
        new, self.before = f"p{self.made}", self.live
        self.credential = replace(self.credential, pending=PendingSecret(hash_secret(PEPPER, new), self.now))
        if answer is AnswerStatus.ACCEPTED:
            self.live = new
        if answer is AnswerStatus.REBOOT_REQUIRED:
            self.next_after_boot = new
        fate = fate_of_answer(None if lost else answer)
        self.settle(fate)
        if fate is PendingFate.DROP:
            self.dead.add(new)

    def connects(self, *, reboot: bool) -> bool:
        self.now += timedelta(minutes=1)
        if reboot and self.next_after_boot:
            self.live, self.next_after_boot = self.next_after_boot, ""
        which = which_password(PEPPER, self.credential, self.live.encode(), hex_forms=False)
        if self.credential.pending is not None:
            self.settle(fate_of_login(which, self.credential.pending, self.boots))
        if reboot:
            self.boots = (*self.boots, self.now)
        return which is not Which.NEITHER

    def revived(self) -> list[str]:
        """Passwords that were dead and open the door again."""
        tries = {
            each: which_password(PEPPER, self.credential, each.encode(), hex_forms=False)
            for each in self.dead
        }
        return [each for each, which in tries.items() if which is not Which.NEITHER]


ANSWERS = st.sampled_from([AnswerStatus.ACCEPTED, AnswerStatus.REJECTED, AnswerStatus.REBOOT_REQUIRED])
STEPS = st.lists(
    st.tuples(st.just("change"), ANSWERS, st.booleans()) | st.tuples(st.just("connect"), st.booleans()),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_no_order_of_changes_and_losses_locks_out_or_leaves_a_dead_password_alive(steps: list[Any]) -> None:
    exchange = Exchange()
    for step in steps:
        if step[0] == "change":
            exchange.change(step[1], lost=step[2])
        else:
            assert exchange.connects(reboot=step[1]), "a charger that does all right is never locked out"
        assert not exchange.revived()
    assert exchange.connects(reboot=False)
