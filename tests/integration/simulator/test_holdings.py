"""Variables, certificates and lists of a simulated charger: what is written stays, and is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.personality import Dialect

CHARGER = "SIM-0001"
BOTH = pytest.mark.parametrize("name", ["larkspur", "jetty", "estuary"])


def is_old(name: str) -> bool:
    return PERSONALITIES[name].dialect is Dialect.OCPP16


def at(name: str) -> dict[str, object]:
    component, _, variable = name.partition(".")
    return {"component": {"name": component}, "variable": {"name": variable}}


async def write(bench, name: str, old: str, new: str, value: str) -> str:
    """``old`` and ``new``: the variable in 1.6 and in 2.x."""
    if is_old(name):
        answer = await bench.send("ChangeConfiguration", {"key": old, "value": value})
        return answer[1]["status"]
    item = {"attributeValue": value, **at(new)}
    answer = await bench.send("SetVariables", {"setVariableData": [item]})
    return answer[1]["setVariableResult"][0]["attributeStatus"]


async def read(bench, name: str, old: str, new: str) -> str | None:
    if is_old(name):
        answer = await bench.send("GetConfiguration", {"key": [old]})
        keys = answer[1].get("configurationKey")
        return keys[0]["value"] if keys else None
    answer = await bench.send("GetVariables", {"getVariableData": [at(new)]})
    return answer[1]["getVariableResult"][0].get("attributeValue")


INTERVAL = ("MeterValueSampleInterval", "SampledDataCtrlr.TxUpdatedInterval")
PINGS = ("WebSocketPingInterval", "OCPPCommCtrlr.WebSocketPingInterval")
NONE = ("Nonsense", "Nonsense.Nonsense")


@BOTH
@pytest.mark.requirement("F76")
async def test_what_is_written_is_read_back_also_after_a_restart(name, bench, csms) -> None:
    async with bench.running(bench.fleet(PERSONALITIES[name])):
        assert await write(bench, name, *INTERVAL, "17") == "Accepted"
        assert await write(bench, name, *INTERVAL, "soon") == "Rejected"
        assert await write(bench, name, *PINGS, "44") == "RebootRequired"
        unknown = "NotSupported" if is_old(name) else "UnknownVariable"
        assert await write(bench, name, *NONE, "1") == unknown
        assert await read(bench, name, *INTERVAL) == "17"
        assert await read(bench, name, *PINGS) == "30"
        await bench.reset(PERSONALITIES[name])
        await csms.until(lambda: len(csms.booted_versions(CHARGER)) == 2)
        assert await read(bench, name, *INTERVAL) == "17"
        assert await read(bench, name, *PINGS) == "44"
        assert await read(bench, name, *NONE) is None


@BOTH
async def test_a_new_password_is_used_at_once_and_never_told(name, bench, csms) -> None:
    secret = ("AuthorizationKey", "SecurityCtrlr.BasicAuthPassword")
    new = "ab" * 20
    async with bench.running(bench.fleet(PERSONALITIES[name])) as task:
        before = csms.credentials[CHARGER]
        assert await write(bench, name, *secret, "short") == "Rejected"
        assert await write(bench, name, *secret, new) == "Accepted"
        await csms.until(lambda: csms.credentials[CHARGER] != before)
        await csms.until(lambda: len(csms.of(CHARGER, "Heartbeat")) > 0)
        assert await read(bench, name, *secret) is None
    account = (await task).chargers[CHARGER]
    assert account.counts["written"] == 2
    assert new not in bench.report.read_text()


def issue(key, subject: x509.Name, issuer: x509.Name, signer) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    return builder.not_valid_after(now + timedelta(days=30)).sign(signer, hashes.SHA256())


def root() -> tuple[str, ec.EllipticCurvePrivateKey, x509.Name]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
    pem = issue(key.public_key(), name, name, key).public_bytes(Encoding.PEM).decode()
    return pem, key, name


@BOTH
@pytest.mark.requirement("F76")
async def test_roots_are_installed_listed_and_deleted(name, bench) -> None:
    use = "CentralSystemRootCertificate" if is_old(name) else "CSMSRootCertificate"
    pem, key, issuer = root()
    leaf = issue(ec.generate_private_key(ec.SECP256R1()).public_key(), issuer, issuer, key)
    listing = {"certificateType": use if is_old(name) else [use]}
    async with bench.running(bench.fleet(PERSONALITIES[name])):
        none = await bench.send("GetInstalledCertificateIds", listing)
        bad = await bench.send("InstallCertificate", {"certificateType": use, "certificate": "no PEM"})
        no_root = leaf.public_bytes(Encoding.PEM).decode()
        not_root = await bench.send("InstallCertificate", {"certificateType": use, "certificate": no_root})
        good = await bench.send("InstallCertificate", {"certificateType": use, "certificate": pem})
        listed = await bench.send("GetInstalledCertificateIds", listing)
        if is_old(name):
            (found,) = listed[1]["certificateHashData"]
        else:
            found = listed[1]["certificateHashDataChain"][0]["certificateHashData"]
        gone = await bench.send("DeleteCertificate", {"certificateHashData": found})
        again = await bench.send("DeleteCertificate", {"certificateHashData": found})
    statuses = [answer[1]["status"] for answer in (none, bad, not_root, good, gone, again)]
    assert statuses == ["NotFound", "Failed", "Rejected", "Accepted", "Accepted", "NotFound"]


@BOTH
async def test_a_certificate_is_asked_for_and_taken_only_for_its_key(name, bench, csms) -> None:
    old = is_old(name)
    trigger = "ExtendedTriggerMessage" if old else "TriggerMessage"
    word = "SignChargePointCertificate" if old else "SignChargingStationCertificate"
    _, key, issuer = root()
    async with bench.running(bench.fleet(PERSONALITIES[name])) as task:
        assert await bench.send(trigger, {"requestedMessage": word}) == [3, {"status": "Accepted"}]
        await csms.until(lambda: bool(csms.of(CHARGER, "SignCertificate")))
        request = x509.load_pem_x509_csr(csms.of(CHARGER, "SignCertificate")[0]["csr"].encode())
        assert request.is_signature_valid
        other = issue(ec.generate_private_key(ec.SECP256R1()).public_key(), request.subject, issuer, key)
        chain = other.public_bytes(Encoding.PEM).decode()
        refused = await bench.send("CertificateSigned", {"certificateChain": chain})
        chain = issue(request.public_key(), request.subject, issuer, key).public_bytes(Encoding.PEM).decode()
        taken = await bench.send("CertificateSigned", {"certificateChain": chain})
    assert [refused[1]["status"], taken[1]["status"]] == ["Rejected", "Accepted"]
    assert (await task).chargers[CHARGER].counts["certificate_signed"] == 2


@BOTH
async def test_a_local_list_has_a_version(name, bench) -> None:
    old = is_old(name)
    number = "listVersion" if old else "versionNumber"
    token = {"idTag": "A", "idTagInfo": {"status": "Accepted"}}
    if not old:
        token = {"idToken": {"idToken": "A", "type": "Central"}, "idTokenInfo": {"status": "Accepted"}}

    def send(version: int, kind: str) -> dict[str, object]:
        return {number: version, "updateType": kind, "localAuthorizationList": [token]}

    async with bench.running(bench.fleet(PERSONALITIES[name])):
        empty = await bench.send("GetLocalListVersion", {})
        full = await bench.send("SendLocalList", send(3, "Full"))
        stale = await bench.send("SendLocalList", send(3, "Differential"))
        version = await bench.send("GetLocalListVersion", {})
        unknown = await bench.send("DataTransfer", {"vendorId": "x"})
    assert (empty[1][number], version[1][number]) == (0, 3)
    assert (full[1]["status"], stale[1]["status"]) == ("Accepted", "VersionMismatch")
    assert unknown[1]["status"] == "UnknownVendorId"


async def test_what_a_brand_lacks_is_not_implemented(bench) -> None:
    personality = replace(PERSONALITIES["jetty"])
    assert "SendLocalList" in PERSONALITIES["tansy"].lacks
    assert not personality.lacks
    async with bench.running(bench.fleet(PERSONALITIES["tansy"])):
        answer = await bench.send("GetLocalListVersion", {})
    assert answer[:2] == [4, "NotImplemented"]
