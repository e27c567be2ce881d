"""All quirks we know. To add one: evidence, a frame, the value, and its line in ``test_quirks``."""

import re
from datetime import UTC, datetime

from csms.frames import OCPP16
from csms.quirks.quirk import Quirk

SHORT_OFFSET = Quirk(
    name="short-offset",
    evidence="https://github.com/monta-app/ocpp-emulator/issues/5: the offset has hours only.",
    frame='[2,"658ae207-02ad-4051-8ecb-51d90e8bbf21","StatusNotification",{"connectorId":2,'
    '"errorCode":"NoError","status":"Preparing","timestamp":"2024-04-26T14:35:02+02"}]',
    time_fixes=((re.compile(r"([+-]\d\d)$"), r"\1:00"),),
)

COMPACT_OFFSET = Quirk(
    name="compact-offset",
    evidence="https://github.com/motown-io/motown/issues/42: the offset has no colon.",
    frame='[2,"1","StatusNotification",{"connectorId":0,"status":"Available","errorCode":"NoError",'
    '"timestamp":"2014-08-19T08:07:04+0000"}]',
    time_fixes=((re.compile(r"([+-]\d\d)(\d\d)$"), r"\1:\2"),),
)

NO_OFFSET = Quirk(
    name="no-offset",
    evidence="https://github.com/evcc-io/evcc/issues/10399: neither Z nor an offset; read as UTC, since "
    "a time that is ahead of ours is taken as now.",
    frame='[2,"288115","StartTransaction",{"connectorId":1,"idTag":"evcc","meterStart":0,'
    '"reservationId":0,"timestamp":"2023-10-19T15:28:07"}]',
    time_fixes=((re.compile(r"(T\d\d:\d\d:\d\d(?:\.\d+)?)$"), r"\1Z"),),
)

CLOCK_NOT_SET = Quirk(
    name="clock-not-set",
    evidence="https://github.com/matth-x/MicroOcpp/issues/311: counts from 1970 until the clock is set.",
    frame='[2,"1000001","StatusNotification",{"connectorId":0,"errorCode":"NoError",'
    '"status":"Available","timestamp":"1970-01-01T00:00:00.740Z"}]',
    clock_unset_before=datetime(2015, 1, 1, tzinfo=UTC),
)

TRANSACTION_UNKNOWN = Quirk(
    name="transaction-unknown",
    evidence="https://github.com/EVerest/libocpp/issues/495: a session that began offline is stopped as "
    "-1; https://github.com/mobilityhouse/ocpp/issues/478: meter values of transaction 0.",
    frame='[2,"12","StopTransaction",{"meterStop":980,"timestamp":"2024-02-26T09:14:47.000Z",'
    '"transactionId":-1}]',
    dialects=(OCPP16,),
    placeholder_transactions=frozenset({"-1", "0"}),
)

CATALOGUE = (SHORT_OFFSET, COMPACT_OFFSET, NO_OFFSET, CLOCK_NOT_SET, TRANSACTION_UNKNOWN)
