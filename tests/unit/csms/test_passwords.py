import string
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

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
    assert fates[AnswerStatus.REBOOT_REQUIRED] is PendingFate.AWAIT_REBOOT
    assert fates[AnswerStatus.REJECTED] is PendingFate.DROP
    assert fates[AnswerStatus.NOT_IMPLEMENTED] is PendingFate.DROP
    assert fate_of_answer(None) is PendingFate.HOLD


@pytest.mark.parametrize(
    ("which", "awaits_reboot", "boots"), list(product(Which, (True, False), ((), (EARLIER,), (LATER,))))
)
def test_every_login_after_every_answer(
    which: Which, awaits_reboot: bool, boots: tuple[datetime, ...]
) -> None:
    fate = fate_of_login(which, PendingSecret(b"x", T0, awaits_reboot), boots)
    match which:
        case Which.PENDING:
            assert fate is PendingFate.PROMOTE, "A01.FR.03: the old one dies"
        case Which.NEITHER:
            assert fate is PendingFate.HOLD, "a stranger settles nothing"
        case Which.CURRENT:
            waiting = awaits_reboot and boots != (LATER,)
            assert fate is (PendingFate.HOLD if waiting else PendingFate.DROP)


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
