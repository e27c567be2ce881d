"""What a charger says on an ordinary day, as templates that are filled in, never encoded anew.

One cycle is one charging session: about half of it meter samples, a quarter heartbeats, the rest
statuses, a firmware train and the session's own start and end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OCPP16 = "ocpp1.6"
OCPP201 = "ocpp2.0.1"

VENDOR, MODEL, FIRMWARE = "Bench", "B1", "1.0"
SAMPLES = 24
"""Meter samples of one session."""


@dataclass(frozen=True)
class Step:
    """One request. ``allots``: its answer names the transaction (1.6 StartTransaction)."""

    template: bytes
    """With %(id)b, %(at)b, %(tx)b and %(seq)b to fill in."""
    allots: bool = False


def step(action: str, payload: dict[str, Any]) -> Step:
    text = json.dumps([2, "@id@", action, payload], separators=(",", ":")).replace("%", "%%")
    # Numbers stand in quotes until here, because a placeholder is no number.
    text = text.replace('"@tx#@"', "%(tx)b").replace('"@seq@"', "%(seq)b")
    for name in ("id", "at", "tx"):
        text = text.replace(f"@{name}@", f"%({name})b")
    return Step(text.encode(), allots=action == "StartTransaction")


HEARTBEAT = step("Heartbeat", {})

BOOT = {
    OCPP16: step(
        "BootNotification",
        {"chargePointVendor": VENDOR, "chargePointModel": MODEL, "firmwareVersion": FIRMWARE},
    ),
    OCPP201: step(
        "BootNotification",
        {
            "reason": "PowerUp",
            "chargingStation": {"vendorName": VENDOR, "model": MODEL, "firmwareVersion": FIRMWARE},
        },
    ),
}

FIRMWARE_TRAIN = ("Downloading", "Downloaded", "Installing", "Installed")


def _status_16(status: str) -> Step:
    return step(
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": "@at@"},
    )


def _sampled_16(value: str, measurand: str, unit: str, **more: str) -> dict[str, str]:
    return {"value": value, "context": "Sample.Periodic", "measurand": measurand, "unit": unit, **more}


METER_16 = step(
    "MeterValues",
    {
        "connectorId": 1,
        "transactionId": "@tx#@",
        "meterValue": [
            {
                "timestamp": "@at@",
                "sampledValue": [
                    _sampled_16("15321", "Energy.Active.Import.Register", "Wh"),
                    _sampled_16("11040.5", "Power.Active.Import", "W"),
                    _sampled_16("16.1", "Current.Import", "A", phase="L1"),
                    _sampled_16("63", "SoC", "Percent"),
                ],
            }
        ],
    },
)


def _status_201(status: str) -> Step:
    return step(
        "StatusNotification",
        {"timestamp": "@at@", "connectorStatus": status, "evseId": 1, "connectorId": 1},
    )


def _transaction_201(kind: str, trigger: str, state: str, **more: Any) -> Step:
    return step(
        "TransactionEvent",
        {
            "eventType": kind,
            "timestamp": "@at@",
            "triggerReason": trigger,
            "seqNo": "@seq@",
            "transactionInfo": {"transactionId": "@tx@", "chargingState": state},
            "evse": {"id": 1, "connectorId": 1},
            **more,
        },
    )


def _sampled_201(value: float, measurand: str, unit: str, **more: str) -> dict[str, Any]:
    return {
        "value": value,
        "context": "Sample.Periodic",
        "measurand": measurand,
        "unitOfMeasure": {"unit": unit},
        **more,
    }


METER_201 = _transaction_201(
    "Updated",
    "MeterValuePeriodic",
    "Charging",
    meterValue=[
        {
            "timestamp": "@at@",
            "sampledValue": [
                _sampled_201(15321.0, "Energy.Active.Import.Register", "Wh"),
                _sampled_201(11040.5, "Power.Active.Import", "W"),
                _sampled_201(16.1, "Current.Import", "A", phase="L1"),
                _sampled_201(63.0, "SoC", "Percent"),
            ],
        }
    ],
)


def _metered(meter: Step) -> list[Step]:
    """Two samples, then a heartbeat."""
    return [meter, meter, HEARTBEAT] * (SAMPLES // 2)


def _firmware(**more: Any) -> list[Step]:
    return [step("FirmwareStatusNotification", {"status": word, **more}) for word in FIRMWARE_TRAIN]


CYCLE: dict[str, Sequence[Step]] = {
    OCPP16: (
        _status_16("Preparing"),
        step(
            "StartTransaction", {"connectorId": 1, "idTag": "BENCH", "meterStart": 100, "timestamp": "@at@"}
        ),
        _status_16("Charging"),
        *_metered(METER_16),
        _status_16("Finishing"),
        step("StopTransaction", {"transactionId": "@tx#@", "meterStop": 9100, "timestamp": "@at@"}),
        _status_16("Available"),
        *_firmware(),
    ),
    OCPP201: (
        _status_201("Occupied"),
        _transaction_201("Started", "CablePluggedIn", "EVConnected"),
        _transaction_201("Updated", "ChargingStateChanged", "Charging"),
        *_metered(METER_201),
        _transaction_201("Ended", "EVDeparted", "Idle"),
        _status_201("Available"),
        *_firmware(requestId=7),
    ),
}

AVAILABLE = {OCPP16: _status_16("Available"), OCPP201: _status_201("Available")}
FAULTED = {OCPP16: _status_16("Faulted"), OCPP201: _status_201("Faulted")}
