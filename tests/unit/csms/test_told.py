"""What we set is read back from the frames that left as it was sent (X9)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms import frames
from csms.access import SendLocalList
from csms.commands import GetVariables, InstallCertificate, SetVariables, UpdateFirmware, VariableValue
from csms.dialect import Calling
from csms.ocpp2x import ocpp201
from csms.ocpp16 import Ocpp16
from csms.told import set_in
from storage.certificate_use import CertificateUse
from storage.kept import SETTINGS, SetSince

pytestmark = pytest.mark.requirement("X9")
UPDATE = UpdateFirmware(7, "http://api.example/d/x", datetime(2026, 11, 26, tzinfo=UTC))
KEYS = st.sampled_from(sorted(name for name in SETTINGS if "." not in name))
VARIABLES = st.sampled_from(sorted(name for name in SETTINGS if "." in name))


def left(dialect: object, *commands: object) -> list[str]:
    calls = (dialect.to_call(each, Calling()) for each in commands)  # type: ignore[attr-defined]
    return [frames.call("m", action, payload) for action, payload in calls]


@given(st.lists(st.tuples(KEYS, st.text(max_size=20)), max_size=5))
def test_every_value_of_each_key_counts(pairs: list[tuple[str, str]]) -> None:
    texts = left(Ocpp16(), *(SetVariables((VariableValue(*pair),)) for pair in pairs))
    values = {key: frozenset(value for each, value in pairs if each == key) for key, _ in pairs}
    assert set_in(texts) == SetSince(values)


@given(st.dictionaries(VARIABLES, st.text(max_size=20), min_size=1, max_size=5))
def test_variables_are_named_as_they_were(values: dict[str, str]) -> None:
    command = SetVariables(tuple(VariableValue(*pair) for pair in values.items()))
    each = {name: frozenset({value}) for name, value in values.items()}
    assert set_in(left(ocpp201(), command)) == SetSince(each)


@pytest.mark.parametrize("dialect", [Ocpp16(), ocpp201()])
def test_roots_lists_and_the_order_itself_are_seen(dialect: object) -> None:
    root = InstallCertificate(CertificateUse.CSMS_ROOT, "PEM")
    texts = left(dialect, UPDATE, root, SendLocalList(3, full=True), GetVariables(("A.B",)))
    assert set_in(texts) == SetSince({}, roots=True, local_list=True, order=True)


def test_what_is_no_call_says_nothing() -> None:
    assert set_in(["", "[3", '[3,"m",{"status":"Accepted"}]', "[2]", "{}"]) == SetSince({})
