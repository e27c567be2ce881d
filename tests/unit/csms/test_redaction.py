import json

import pytest

from csms.redaction import printable, redact


@pytest.mark.parametrize(
    "frame",
    [
        [2, "1", "Authorize", {"idTag": "SECRET"}],
        [2, "1", "StopTransaction", {"transactionId": 1, "idTag": 'SEC"RET', "meterStop": 3}],
        [2, "1", "TransactionEvent", {"idToken": {"idToken": "SECRET", "type": "ISO14443"}}],
        [2, "1", "UpdateFirmware", {"location": "http://host/d/SECRET", "retrieveDate": "x"}],
        [2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "SECRET"}],
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
