"""Each personality on real sockets, through a whole update, against a tiny CSMS."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from csms.simulator.catalogue import EVERYBODY, PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.firmware import Script, build_image
from csms.simulator.pace import SessionPattern
from csms.simulator.personality import Dialect
from csms.simulator.stages import Stage
from tests.support.maker import Maker, found_maker

CHARGER = "SIM-0001"
OFTEN = SessionPattern(busy_share=0.95)
ALWAYS = SessionPattern(busy_share=1.0)
# Told by their boots, as a bare peer sees it; who keeps quiet is asked by a real node (``test_real_node``).
TELLING = {name: one for name, one in PERSONALITIES.items() if one.tells_version}
BY_NAME = pytest.mark.parametrize("personality", TELLING.values(), ids=list(TELLING))
ACCEPTED = [3, {"status": "Accepted"}]
SESSION_MESSAGES = ("StartTransaction", "TransactionEvent")


@BY_NAME
@pytest.mark.requirement("F72", "X8")
async def test_signed_update_ends_on_the_new_version(personality, bench, csms) -> None:
    image = build_image("1.1", size=200_000, seed=1)
    async with bench.running(bench.fleet(personality)) as task:
        assert await bench.send(*bench.update(personality, image)) == ACCEPTED
        await bench.see_it_through(personality, "1.1")
    account = (await task).chargers[CHARGER]
    assert account.version == "1.1"
    assert csms.booted_versions(CHARGER)[0] == "1.0"
    words = csms.firmware_words(CHARGER)
    assert words.count("Installed") == personality.claims
    assert not set(words) & {word.value for word in personality.omits}
    assert "InvalidSignature" not in words
    assert len(bench.images.ranges) == (5 if personality.piece_bytes else 1)
    assert account.counts["unsigned_command"] == account.counts["bad_signature"] == 0


@BY_NAME
@pytest.mark.requirement("S38")
async def test_bad_signature_ends_with_invalid_signature(personality, bench, csms) -> None:
    image = build_image("1.1", size=20_000, seed=1)
    tampered = image[:-1] + bytes([image[-1] ^ 1])
    async with bench.running(bench.fleet(personality)) as task:
        assert await bench.send(*bench.update(personality, image, served=tampered)) == ACCEPTED
        await csms.until(lambda: "InvalidFirmwareSignature" in csms.security_events(CHARGER))
    assert csms.firmware_words(CHARGER)[-1] == "InvalidSignature"
    assert set(csms.booted_versions(CHARGER)) == {"1.0"}
    assert (await task).totals()["badly_signed_commands"] == 1


@pytest.fixture(scope="module")
def stranger() -> Maker:
    return found_maker(datetime.now(UTC), "Somebody Else")


@BY_NAME
async def test_certificate_of_another_manufacturer_is_refused_at_once(
    personality, stranger, bench, csms
) -> None:
    image = build_image("1.1", size=20_000, seed=1)
    async with bench.running(bench.fleet(personality)) as task:
        answer = await bench.send(*bench.update(personality, image, by=stranger))
        assert answer == [3, {"status": "InvalidCertificate"}]
        await csms.until(lambda: "InvalidFirmwareSigningCertificate" in csms.security_events(CHARGER))
    assert bench.images.ranges == []
    assert (await task).totals()["badly_signed_commands"] == 1


@BY_NAME
@pytest.mark.requirement("F119")
async def test_boot_looping_image_falls_back(personality, bench, csms) -> None:
    image = build_image("1.2", size=20_000, seed=1, script=Script(boot_loop_share=1, boot_loops=2))
    async with bench.running(bench.fleet(personality)) as task:
        await bench.send(*bench.update(personality, image))
        await bench.activate(personality)
        await csms.until(lambda: csms.booted_versions(CHARGER)[-3:] == ["1.2", "1.2", "1.0"])
        if personality.reports_fall_back:
            await csms.until(lambda: csms.firmware_words(CHARGER)[-1] == "InstallationFailed")
    account = (await task).chargers[CHARGER]
    assert account.version == "1.0"
    assert account.counts["fell_back"] == 1


async def test_boot_loop_that_never_reaches_the_network_is_only_seen_by_its_end(bench, csms) -> None:
    personality = PERSONALITIES["jetty"]
    script = Script(boot_loop_share=1, boot_loops=2, loop_announces_boot=False)
    image = build_image("1.2", size=20_000, seed=1, script=script)
    async with bench.running(bench.fleet(personality)) as task:
        await bench.send(*bench.update(personality, image))
        await csms.until(lambda: len(csms.booted_versions(CHARGER)) == 2)
    assert csms.booted_versions(CHARGER) == ["1.0", "1.0"]
    versions = [entry["version"] for entry in (await task).chargers[CHARGER].versions]
    assert versions == ["1.0", "1.2", "1.2", "1.0"]


@pytest.mark.requirement("S27")
async def test_lying_image_says_installed_and_runs_the_old_version(bench, csms) -> None:
    personality = PERSONALITIES["dunlin"]
    image = build_image("1.2", size=20_000, seed=1, script=Script(lie_share=1))
    async with bench.running(bench.fleet(personality)):
        await bench.send(*bench.update(personality, image))
        await csms.until(lambda: "Installed" in csms.firmware_words(CHARGER))
    assert csms.booted_versions(CHARGER) == ["1.0", "1.0"]


async def test_faulted_connectors_last_until_another_image(bench, csms) -> None:
    personality = PERSONALITIES["larkspur"]
    broken = build_image("1.2", size=20_000, seed=1, script=Script(faulted_share=1))
    good = build_image("1.1", size=20_000, seed=1)

    def shown() -> list[tuple[int, str, str]]:
        rows = csms.of(CHARGER, "StatusNotification")
        return [(row["connectorId"], row["status"], row["errorCode"]) for row in rows][-3:]

    async def runs(image: bytes, request_id: int, word: str, code: str) -> None:
        command = bench.update(personality, image, request_id=request_id)
        assert await bench.send(*command) == ACCEPTED
        installed = {"status": "Installed", "requestId": request_id}
        await csms.until(lambda: installed in csms.of(CHARGER, "SignedFirmwareStatusNotification"))
        assert shown() == [(0, "Available", "NoError"), (1, word, code), (2, word, code)]

    async with bench.running(bench.fleet(personality)):
        await runs(broken, 5, "Faulted", "GroundFailure")
        await runs(good, 6, "Available", "NoError")
    assert csms.booted_versions(CHARGER) == ["1.0", "1.2", "1.1"]


async def test_failed_install_is_reported_and_a_silent_image_never_returns(bench, csms) -> None:
    personality = PERSONALITIES["jetty"]
    failing = build_image("1.2", size=20_000, seed=1, script=Script(install_failure_share=1))
    silent = build_image("1.3", size=20_000, seed=1, script=Script(silent_share=1))
    async with bench.running(bench.fleet(personality)):
        await bench.send(*bench.update(personality, failing, request_id=1))
        await csms.until(lambda: csms.firmware_words(CHARGER)[-1:] == ["InstallationFailed"])
        await bench.send(*bench.update(personality, silent, request_id=2))
        await bench.until_report(lambda report: "went_silent" in report["chargers"][CHARGER]["counts"])
    assert csms.booted_versions(CHARGER) == ["1.0"]


async def test_broken_download_is_resumed_where_it_ended(bench, csms) -> None:
    personality = PERSONALITIES["larkspur"]
    image = build_image("1.1", size=1_000_000, seed=1)
    fault = NetworkFault(FaultKind.BREAK_DOWNLOAD, amount=100_000)
    async with bench.running(bench.fleet(personality, faults=(fault,))):
        await bench.send(*bench.update(personality, image))
        await bench.see_it_through(personality, "1.1")
    whole, resumed = bench.images.ranges
    assert whole is None
    assert 100_000 <= int(resumed.removesuffix("-")) < 1_000_000


async def test_image_over_the_limit_and_missing_image_fail_the_download(bench, csms) -> None:
    personality = PERSONALITIES["dunlin"]
    image = build_image("1.1", size=50_000, seed=1)
    large = bench.update(personality, image, request_id=1)
    missing = bench.update(personality, image, request_id=2)
    missing[1]["firmware"]["location"] += "-gone"
    async with bench.running(bench.fleet(personality, max_image_bytes=40_000)):
        await bench.send(*large)
        await csms.until(lambda: csms.firmware_words(CHARGER)[-1:] == ["DownloadFailed"])
        await bench.send(*missing)
        await csms.until(lambda: csms.firmware_words(CHARGER).count("DownloadFailed") == 2)
    assert set(csms.booted_versions(CHARGER)) == {"1.0"}
    assert bench.images.statuses[-2:] == [404, 404]


async def test_second_update_cancels_the_first_and_is_noted(bench, csms) -> None:
    personality = PERSONALITIES["jetty"]
    one, two = (build_image(version, size=20_000, seed=1) for version in ("1.1", "1.2"))
    first = bench.update(personality, one, request_id=1, at="2999-01-01T00:00:00Z")
    async with bench.running(bench.fleet(personality)) as task:
        assert await bench.send(*first) == ACCEPTED
        await csms.until(lambda: csms.firmware_words(CHARGER) == ["DownloadScheduled"])
        assert await bench.send(*first) == ACCEPTED
        second = bench.update(personality, two, request_id=2)
        assert await bench.send(*second) == [3, {"status": "AcceptedCanceled"}]
        await bench.see_it_through(personality, "1.2")
    account = (await task).chargers[CHARGER]
    assert account.counts["update_resent"] == 1
    assert account.counts["different_image_while_updating"] == 1
    assert "1.1" not in csms.booted_versions(CHARGER)


@BY_NAME
@pytest.mark.requirement("S37")
async def test_unsigned_command_is_counted(personality, bench) -> None:
    image = build_image("1.1", size=20_000, seed=1)
    url, now = bench.images.put("fw", image), datetime.now(UTC).isoformat()
    plain16 = {"location": url, "retrieveDate": now}
    plain2x = {"requestId": 9, "firmware": {"location": url, "retrieveDateTime": now}}
    old = personality.dialect is Dialect.OCPP16
    async with bench.running(bench.fleet(personality)) as task:
        answer = await bench.send("UpdateFirmware", plain16 if old else plain2x)
        if old:
            assert answer[:2] == [4, "NotSupported"]
        else:
            await bench.see_it_through(personality, "1.1")
    assert (await task).totals()["unsigned_commands"] == 1


@pytest.mark.parametrize("name", ["bramble", "estuary"])
async def test_impatient_personality_cuts_a_session_and_the_ledger_knows(name, bench, csms) -> None:
    personality = PERSONALITIES[name]
    fleet = bench.fleet(personality, sessions=ALWAYS)
    async with bench.running(replace(fleet, pace=replace(fleet.pace, session_s=(5, 5)))) as task:
        await csms.until(lambda: bool(csms.of(CHARGER, *SESSION_MESSAGES)))
        await bench.send(*bench.update(personality, build_image("1.1", size=20_000, seed=1)))
        await csms.until(lambda: "Installing" in csms.firmware_words(CHARGER))
    ledger = await task
    assert ledger.totals()["sessions_cut"] >= 1
    assert any(event["what"] == "cut" for event in ledger.chargers[CHARGER].events)


@pytest.mark.parametrize("name", ["larkspur", "jetty", "dunlin"])
async def test_patient_personality_waits_for_its_session(name, bench, csms) -> None:
    personality = PERSONALITIES[name]
    async with bench.running(bench.fleet(personality, sessions=OFTEN)) as task:
        await csms.until(lambda: bool(csms.of(CHARGER, *SESSION_MESSAGES)))
        await bench.send(*bench.update(personality, build_image("1.1", size=20_000, seed=1)))
        await bench.see_it_through(personality, "1.1")
    words = csms.firmware_words(CHARGER)
    assert words.index("InstallScheduled") < words.index("Installing")
    assert (await task).totals()["sessions_cut"] == 0


async def test_socket_dropped_in_the_update_changes_nothing_about_its_end(bench, csms) -> None:
    personality = PERSONALITIES["larkspur"]
    drops = tuple(
        NetworkFault(FaultKind.DROP_SOCKET, stage=stage) for stage in (Stage.CHECKING, Stage.INSTALLING)
    )
    async with bench.running(bench.fleet(personality, faults=drops)) as task:
        await bench.send(*bench.update(personality, build_image("1.1", size=20_000, seed=1)))
        await bench.see_it_through(personality, "1.1")
        await csms.until(lambda: "Installed" in csms.firmware_words(CHARGER))
    assert (await task).chargers[CHARGER].counts["fault_drop_socket"] == 2
    # The sockets were lost, the charger was not: it booted once, and once more with the new image.
    assert csms.booted_versions(CHARGER) == ["1.0", "1.1"]


@pytest.mark.parametrize("name", ["larkspur", "jetty"])
@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.requirement("R20")
async def test_what_was_fetched_ahead_waits_for_the_order_to_install(
    name, keeps, bench, csms, monkeypatch
) -> None:
    personality = replace(PERSONALITIES[name], keeps_image=keeps)
    monkeypatch.setitem(EVERYBODY, name, personality)
    image = build_image("1.1", size=20_000, seed=1)
    never = (datetime.now(UTC) + timedelta(days=366)).isoformat()
    async with bench.running(bench.fleet(personality)):
        action, ahead = bench.update(personality, image)
        ahead["firmware"]["installDateTime"] = never
        assert await bench.send(action, ahead) == ACCEPTED
        await csms.until(lambda: "InstallScheduled" in csms.firmware_words(CHARGER))
        assert "Installing" not in csms.firmware_words(CHARGER)
        del ahead["firmware"]["installDateTime"]
        answer = await bench.send(action, {**ahead, "requestId": 6})
        assert answer == [3, {"status": "AcceptedCanceled"}], "L01.FR.24"
        await bench.see_it_through(personality, "1.1")
    assert len(bench.images.ranges) == (1 if keeps else 2)


@pytest.mark.requirement("R20")
async def test_a_hasty_personality_does_not_wait_with_its_install(bench, csms, monkeypatch) -> None:
    personality = replace(PERSONALITIES["jetty"], waits_for_install_time=False)
    monkeypatch.setitem(EVERYBODY, "jetty", personality)
    async with bench.running(bench.fleet(personality)):
        action, ahead = bench.update(personality, build_image("1.1", size=20_000, seed=1))
        ahead["firmware"]["installDateTime"] = (datetime.now(UTC) + timedelta(days=366)).isoformat()
        assert await bench.send(action, ahead) == ACCEPTED
        await bench.see_it_through(personality, "1.1")
    assert "InstallScheduled" not in csms.firmware_words(CHARGER)
