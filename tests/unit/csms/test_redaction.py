import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.commands import GetVariables
from csms.dialect import Reading
from csms.frames import OCPP16, OCPP201
from csms.gateway import DIALECTS
from csms.redaction import is_secret, printable, redact, redact_both


@pytest.mark.parametrize(
    "frame",
    [
        [2, "1", "Authorize", {"idTag": "SECRET"}],
        [2, "1", "StopTransaction", {"transactionId": 1, "idTag": 'SEC"RET', "meterStop": 3}],
        [2, "1", "TransactionEvent", {"idToken": {"idToken": "SECRET", "type": "ISO14443"}}],
        [2, "1", "UpdateFirmware", {"location": "http://host/d/SECRET", "retrieveDate": "x"}],
        [2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "SECRET"}],
        [2, "1", "ChangeConfiguration", {"key": "authorizationkey", "value": "SECRET"}],
        [2, "1", "ChangeConfiguration", {"key": "VendorAdminPassword", "value": "SECRET"}],
        [3, "1", {"configurationKey": [{"key": "WifiPSK", "value": "SECRET", "readonly": False}]}],
        [3, "1", {"configurationKey": [{"key": "wifi_psk", "value": "SECRET", "readonly": False}]}],
        [
            3,
            "1",
            {"configurationKey": [{"key": "BackendSharedSecret", "value": "SECRET", "readonly": False}]},
        ],
        [3, "1", {"configurationKey": [{"key": "TlsPrivateKey", "value": "SECRET", "readonly": False}]}],
        [3, "1", {"configurationKey": [{"key": "PreSharedKey", "value": "SECRET", "readonly": False}]}],
        [
            2,
            "1",
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                        "attributeValue": "SECRET",
                    }
                ]
            },
        ],
        [
            2,
            "1",
            "SetNetworkProfile",
            {
                "connectionData": {
                    "ocppCsmsUrl": "wss://user:SECRET@csms.example/ocpp",
                    "basicAuthPassword": "SECRET",
                    "apn": {"apnPassword": "SECRET", "simPin": 53737},
                    "vpn": {"user": "u", "password": "SECRET", "type": "IPSec", "key": "SECRET"},
                }
            },
        ],
        [2, "1", "CustomerInformation", {"customerIdentifier": "SECRET", "idToken": {"idToken": "SECRET"}}],
        [2, "1", "NotifyCustomerInformation", {"requestId": 0, "data": "SECRET charged"}],
        [2, "1", "SendLocalList", {"localAuthorizationList": [{"idTag": "SECRET"}]}],
        [3, "1", {"configurationKey": [{"value": "SECRET", "key": "AuthorizationKey", "readonly": False}]}],
        [
            4,
            "1",
            "NotImplemented",
            'cannot {"location": "http://h/d/SECRET"}',
            {"location": "https://h/d/SECRET"},
        ],
    ],
)
@pytest.mark.parametrize("compact", [True, False])
def test_secrets_do_not_reach_the_journal(frame: list[object], compact: bool) -> None:
    kept = redact(json.dumps(frame, separators=(",", ":") if compact else None))
    assert "SECRET" not in kept.replace('SEC\\"RET', "SECRET")
    assert "53737" not in kept
    assert json.loads(kept)[:2] == frame[:2]


def test_everything_else_stays_byte_for_byte() -> None:
    sampled = '{"location":"Outlet","value":"1"}'
    text = f'[2, "1","MeterValues",{{"connectorId":1,"meterValue":[{{"sampledValue":[{sampled}]}}]}}]'
    assert redact(text) == text


def test_what_is_no_json_is_redacted_and_cut() -> None:
    kept = printable('[2,"1","Authorize",{"idTag":"SECRET"' + "x" * 10_000, limit=200)
    assert "SECRET" not in kept
    assert len(kept) < 300
    assert printable(b"\xff\xfe") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "name",
    [
        "AuthorizationKey",
        "SecurityCtrlr.BasicAuthPassword",
        "NetworkConfiguration[1].VpnKey",
        "wifiPassphrase",
    ],
)
def test_secret_variables_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)


def test_other_variables_are_not_secret() -> None:
    assert not any(map(is_secret, ("HeartbeatInterval", "LocalAuthListEnabled", "AuthorizeRemoteTxRequests")))


@pytest.mark.requirement("F23", "S43")
@pytest.mark.parametrize(
    "frame",
    [
        r'[4,"1","GenericError","cannot fetch https:\/\/a.test\/d\/SECRET",{}]',
        r'[4,"1","GenericError","cannot fetch ftp:\/\/user:SECRET@a.test\/x",{}]',
        r'[2,"1","DataTransfer",{"vendorId":"V","data":"{\"idTag\":\"SECRET\",\"password\": \"SECRET\"}"}]',
        r'[2,"1","DataTransfer",{"vendorId":"V","data":"{\"a\":\"{\\\"idTag\\\":\\\"SECRET\\\"}\"}"}]',
        r'[2,"1","DataTransfer",{"vendorId":"V","data":"{\"url\":\"https:\\/\\/a.test\\/d\\/SECRET\"}"}]',
        '[2,"1","Authorize",{"IdTag":"SECRET"}]',
        '[2,"1","NotifyEvent",{"eventData":[{"variable":{"name":"BasicAuthPassword"},"actualValue":"SECRET"}]}]',
        (
            '[2,"1","NotifyReport",{"reportData":[{"variable":{"name":"Password"},'
            '"variableCharacteristics":{"valuesList":"SECRET"}}]}]'
        ),
    ],
)
def test_secrets_are_found_as_chargers_write_them(frame: str) -> None:
    """Slashes escaped as some libraries do, JSON within a string, names in another case."""
    json.loads(frame)
    cleaned = redact(frame)
    assert "SECRET" not in cleaned
    json.loads(cleaned)


TICKET = "https://a.test/d/SECRET"
AT = "2026-11-20T12:00:00Z"
PASSWORD = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
VENDORS = {"component": {"name": "VendorCtrlr"}, "variable": {"name": "LastImage"}}
EVENT = {"eventId": 0, "timestamp": AT, "trigger": "Delta", "eventNotificationType": "HardWiredMonitor"}


@pytest.mark.requirement("F23", "S43")
@pytest.mark.parametrize(
    ("dialect", "action", "payload"),
    [
        (OCPP16, "SecurityEventNotification", {"type": "T", "timestamp": AT, "techInfo": f"at {TICKET}"}),
        (OCPP201, "SecurityEventNotification", {"type": "T", "timestamp": AT, "techInfo": f"at {TICKET}"}),
        (OCPP201, "NotifyEvent", {"eventData": [{**EVENT, **PASSWORD, "actualValue": "SECRET"}]}),
        (OCPP201, "NotifyEvent", {"eventData": [{**EVENT, **VENDORS, "actualValue": TICKET}]}),
        (
            OCPP201,
            "NotifyReport",
            {"generatedAt": AT, "reportData": [{**VENDORS, "variableAttribute": [{"value": TICKET}]}]},
        ),
    ],
)
def test_secrets_do_not_reach_an_event(dialect: str, action: str, payload: dict[str, object]) -> None:
    """A charger tells of the address that it was given, and of its password when that changes."""
    observed = DIALECTS[dialect].to_events(action, payload, Reading(lambda _: None, lambda token: token))
    assert observed
    assert "SECRET" not in repr(observed)
    assert "***" in repr(observed)


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    ("dialect", "payload"),
    [
        (OCPP16, {"configurationKey": [{"key": "LastImage", "readonly": True, "value": TICKET}]}),
        (
            OCPP201,
            {"getVariableResult": [{**VENDORS, "attributeStatus": "Accepted", "attributeValue": TICKET}]},
        ),
    ],
)
def test_secrets_do_not_reach_a_value_that_was_asked_for(dialect: str, payload: dict[str, object]) -> None:
    command = GetVariables(("VendorCtrlr.LastImage",))
    answer = DIALECTS[dialect].from_answer(command, "GetVariables", payload)
    assert [value for _, value in answer.values] == ["https://a.test/d/***"]


_PIECES = st.sampled_from(
    [
        '{"idTag":"A"}',
        '{"location":"http://h/d/tick"}',
        '{"key":"PSK","value":"x"}',
        "u:p@h",
        "{}",
        "/u/abc",
        "A",
    ]
)


@given(st.lists(_PIECES).map("".join), st.lists(_PIECES).map("".join))
def test_a_frame_and_its_answer_lose_what_each_alone_would_lose(text: str, answer: str) -> None:
    assert redact_both(text, answer) == (redact(text), redact(answer))


@pytest.mark.parametrize("number", ["12345678", "-12345678", "1.2345678e7", "12345678 "])
def test_the_number_of_a_card_is_a_secret_whatever_type_it_comes_as(number: str) -> None:
    frame = f'[2,"1","Authorize",{{"idTag":{number}}}]'
    assert "2345678" not in redact(frame)
    assert json.loads(redact(frame))[3] == {"idTag": "***"}


ROOT = Path(__file__).parents[3]
HALF_A_MEGABYTE = 512 * 1024
"""`AMPWAVE_CSMS_MAX_FRAME_BYTES`, as it is by default."""
HOSTILE = {
    "backslashes": "'\\\\' * n + ' idtag'",
    "an address of colons": "'\"location\":\"' + ':' * n",
    "a name without an end": "'\"key\":\"' + 'psk' * (n // 3)",
    "quotes": "'\"' * n + 'password'",
    "blanks": "'\"idTag\"' + ' ' * n",
    "escaped quotes": "'\"idTag\":\"' + '\\\\\"' * (n // 2)",
    "users": "'://' * (n // 3) + '@'",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_longest_frame_of_a_hostile_charger_holds_nobody_up(text: str) -> None:
    """In a process of its own, for a pattern that looks back takes a quarter of an hour for one of these."""
    program = f"from csms.redaction import redact; n = {HALF_A_MEGABYTE}; print(len(redact({text})))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, cwd=ROOT, capture_output=True
    )
    assert int(done.stdout) > 0


def escaped(text: str, letter: str) -> str:
    return text.replace(letter, f"\\u{ord(letter):04x}")


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","Authorize",{"id\\u0054ag":"SECRET"}]',
        '[2,"1","Authorize",{"\\u0069\\u0064\\u0054\\u0061\\u0067" : "SECRET"}]',
        '[2,"1","ChangeConfiguration",{"key":"Authorization\\u004Bey","value":"SECRET"}]',
        '[2,"1","ChangeConfiguration",{"k\\u0065y":"AuthorizationKey","valu\\u0065":"SECRET"}]',
        '[2,"1","UpdateFirmware",{"locat\\u0069on":"http\\u003a//host/d/SECRET"}]',
        '[2,"1","UpdateFirmware",{"x":"http://host\\u002fd\\u002fSECRET_SECRET_SECRET"}]',
        '[2,"1","DataTransfer",{"data":"{\\\\"id\\\\\\\\u0054ag\\\\":\\\\"SECRET\\\\"}"}]'.replace(
            "\\\\", "\\"
        ),
        '[2,"1","DataTransfer",{"data":"{\\u0022idTag\\u0022:\\u0022SECRET\\u0022}"}]',
        '[2,"1","DataTransfer",{"data":"{\\"id\\u005cu0054ag\\":\\"SECRET\\"}"}]',
    ],
)
def test_a_name_in_escapes_hides_nothing(frame: str) -> None:
    json.loads(frame)
    assert "SECRET" in frame
    assert "SECRET" not in redact(frame)
    assert "SECRET" not in "".join(redact_both(frame, "[3]"))


@given(st.sampled_from("idTagpaswor"), st.sampled_from(["idTag", "password", "idToken"]))
def test_any_letter_of_a_secret_name_may_be_escaped(letter: str, key: str) -> None:
    frame = f'[2,"1","X",{{"{escaped(key, letter)}":"SECRET","n":"\\u00e9"}}]'
    assert "SECRET" not in redact(frame)


@pytest.mark.parametrize(
    "text", ['[2,"1","X",{"n":"\\u0041\\u00e9 C:\\\\u0041"}]', r'{"idTag":"***","n":"\u0041"}']
)
def test_escapes_that_hide_nothing_stay_as_they_came(text: str) -> None:
    assert redact(text) == text


def test_many_escapes_and_backslashes_take_no_longer_than_their_length() -> None:
    for text in ("\\" * 400_000, "\\u0041" * 100_000, "\\u005c" * 100_000, "\\u00" * 100_000):
        assert isinstance(redact(text), str)
