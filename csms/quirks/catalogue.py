"""All quirks we know. To add one: evidence, a frame, the value, and its line in ``test_quirks``."""

import re
from datetime import UTC, datetime

from csms.frames import OCPP16
from csms.quirks.quirk import Quirk
from storage.capability import Declared
from storage.events import ConnectorStatusChanged

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

LOCAL_CLOCK = Quirk(
    name="local-clock",
    evidence="https://github.com/steve-community/steve/issues/136: its first reports after a boot carry "
    "local time with a Z, two hours ahead of the time it was just given.",
    frame='[2,"156167709","StatusNotification",{"connectorId":1,"status":"Available",'
    '"errorCode":"NoError","info":"Status Update","timestamp":"2019-05-10T16:05:33Z","vendorId":"Chago"}]',
    vendor="Chago*",
    dialects=(OCPP16,),
    untimed=(ConnectorStatusChanged,),
)

REQUEST_UNKNOWN = Quirk(
    name="request-unknown",
    evidence="https://github.com/EVerest/libocpp/pull/277: the update module hands the request id -1 on "
    "where it does not know which request a status belongs to.",
    frame='[2,"5","SignedFirmwareStatusNotification",{"status":"Downloading","requestId":-1}]',
    placeholder_requests=frozenset({-1}),
)

INSTALLED_TWICE = Quirk(
    name="installed-twice",
    evidence="https://github.com/SAP/e-mobility-charging-stations-simulator/issues/459: Installed comes "
    "twice for one update.",
    frame='[2,"8cda9705-f8a2-4c07-a7f0-9d1ea87483b6","FirmwareStatusNotification",{"status":"Installed"}]',
    repeats_installed=True,
)

BOOTS_ON_CONNECT = Quirk(
    name="boots-on-connect",
    evidence="https://github.com/evcc-io/evcc/pull/25069: takes BootNotification for the handshake of every "
    "socket, so each loss of the network looks like a restart.",
    frame='[2,"1","BootNotification",{"chargePointVendor":"EN+","chargePointModel":"AC011K",'
    '"firmwareVersion":"1.1.212"}]',
    vendor="EN+*",
    dialects=(OCPP16,),
    boots_on_connect=True,
)

VERSION_IN_WORDS = Quirk(
    name="version-in-words",
    evidence="https://github.com/openhab/openhab-addons/issues/2038: names its series before and its build "
    "behind the version that the release is called by.",
    frame='[2,"1","BootNotification",{"chargePointVendor":"Keba AG","chargePointModel":"KC-P30",'
    '"firmwareVersion":"KEBA P30 v 3.02.4 (160226-065816)"}]',
    vendor="[Kk][Ee][Bb][Aa]*",
    version_form=re.compile(r"(?:KEBA )?P\d+ v (\d+(?:\.\w+)+) \(\d{6}-\d{6}\)"),
)

NO_UPDATES = Quirk(
    name="no-updates",
    evidence="https://github.com/matth-x/MicroOcpp: the simulator as shipped (1.2.0, run by us) answers "
    "UpdateFirmware with NotImplemented; it cannot be updated, which is no failure of an update.",
    frame='[2,"1","BootNotification",{"chargePointModel":"MicroOcpp Simulator",'
    '"chargePointVendor":"MicroOcpp"}]',
    vendor="MicroOcpp",
    model="MicroOcpp Simulator",
    dialects=(OCPP16,),
    declared=Declared(updates=False),
)

PLAIN_UPDATES = Quirk(
    name="plain-updates",
    evidence="https://github.com/SAP/e-mobility-charging-stations-simulator: run by us, 4.11 answers "
    "SignedUpdateFirmware of 1.6 with NotImplemented and takes the plain update.",
    frame='[2,"1","BootNotification",{"chargePointModel":"Simulator simple","chargePointVendor":"Ovomaltin",'
    '"firmwareVersion":"1.0.0"}]',
    vendor="Ovomaltin",
    model="Simulator *",
    dialects=(OCPP16,),
    declared=Declared(signed_update=False),
)

SFTP_ONLY = Quirk(
    name="sftp-only",
    evidence="https://github.com/lbbrhzn/ocpp/issues/1612: an address by https ends in DownloadFailed "
    "after a restart; by SFTP the same image is fetched.",
    frame='[2,"2","BootNotification",{"chargePointVendor":"innogy","chargePointModel":"eBox smart S",'
    '"chargeBoxSerialNumber":"LP00XXXX","firmwareVersion":"1.2.3","meterType":"N/A"}]',
    vendor="innogy",
    model="eBox*",
    dialects=(OCPP16,),
    declared=Declared(transfers=("FTP", "SFTP")),
)

FTP_ONLY = Quirk(
    name="ftp-only",
    evidence="https://github.com/steve-community/steve/issues/746: the command is accepted, and nothing "
    "happens unless the address is one of FTP; lbbrhzn/ocpp#221 shows the vendor's own.",
    frame='[2,"3","BootNotification",{"chargePointVendor":"EV-BOX","chargePointModel":"Elvi",'
    '"firmwareVersion":"P0424B0424v0.220706_W2.2.0"}]',
    vendor="EV*[Bb][Oo][Xx]",
    dialects=(OCPP16,),
    declared=Declared(transfers=("FTP",)),
)

HTTP_ONLY = Quirk(
    name="http-only",
    evidence="https://github.com/matth-x/MicroOcpp/issues/242: the updater of its ESP32 build knows no TLS.",
    frame='[2,"4","BootNotification",{"chargePointVendor":"MicroOcpp","chargePointModel":"ESP32"}]',
    vendor="MicroOcpp",
    model="ESP*",
    dialects=(OCPP16,),
    declared=Declared(transfers=("HTTP",)),
)

CATALOGUE = (
    SHORT_OFFSET,
    COMPACT_OFFSET,
    NO_OFFSET,
    CLOCK_NOT_SET,
    TRANSACTION_UNKNOWN,
    LOCAL_CLOCK,
    REQUEST_UNKNOWN,
    INSTALLED_TWICE,
    BOOTS_ON_CONNECT,
    VERSION_IN_WORDS,
    NO_UPDATES,
    PLAIN_UPDATES,
    SFTP_ONLY,
    FTP_ONLY,
    HTTP_ONLY,
)
