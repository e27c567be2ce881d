"""The rules that live in the nouns themselves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.audit import GENESIS, AuditEntry, AuditRow, chain_hash, first_break
from storage.canonical import canonical_json, digest
from storage.errors import InvalidInput, InvalidName, NotFound
from storage.events import (
    EVENT_TYPES,
    KIND_OF,
    ChargerBooted,
    ConnectorStatus,
    EventKind,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    SecurityEventReported,
    wake_token,
)
from storage.ids import (
    artifact_workflow_id,
    campaign_workflow_id,
    charger_workflow_id,
    check_charger_id,
    check_slug,
    node_queue,
    shard_workflow_id,
    wave_workflow_id,
)
from storage.twin import ConnectorState, OpenTransaction, OperationSection, busy_reason

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IDLE = OperationSection(connectors={"1.1": ConnectorState(1, 1, ConnectorStatus.AVAILABLE, AT)})


@pytest.mark.requirement("X1", "F86")
class TestBusy:
    def test_idle_is_not_busy(self) -> None:
        assert busy_reason(IDLE, AT) is None

    @pytest.mark.parametrize("status", ConnectorStatus)
    def test_only_a_plug_and_a_reservation_make_a_connector_busy(self, status) -> None:
        operation = OperationSection(connectors={"2.1": ConnectorState(2, 1, status, AT)})
        busy = status in (ConnectorStatus.OCCUPIED, ConnectorStatus.RESERVED)
        assert (busy_reason(operation, AT) is not None) is busy

    @pytest.mark.parametrize(
        "operation", [None, OperationSection(), replace(IDLE, connectors={"0.0": IDLE.connectors["1.1"]})]
    )
    def test_what_is_not_known_is_busy(self, operation) -> None:
        if operation and operation.connectors:
            whole = replace(operation.connectors["0.0"], evse_id=0, connector_id=0)
            operation = replace(operation, connectors={"0.0": whole})
        assert "not reported" in busy_reason(operation, AT)

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"transactions": {"t7": OpenTransaction("t7", 2, 1, AT, AT)}}, "t7"),
            ({"transactions": {"t7": OpenTransaction("t7", 2, 1, AT, AT, suspect=True)}}, "t7"),
            ({"reservations": (44,)}, "44"),
            ({"remote_start_pending_until": AT + timedelta(seconds=1)}, "remote start"),
        ],
    )
    def test_each_reason_is_named(self, change, word) -> None:
        assert word in busy_reason(replace(IDLE, **change), AT)

    def test_a_remote_start_that_never_came_ends(self) -> None:
        assert busy_reason(replace(IDLE, remote_start_pending_until=AT), AT) is None


class TestEvents:
    def test_every_kind_has_a_class_and_every_class_a_kind(self) -> None:
        assert set(EVENT_TYPES) == set(EventKind)
        assert {KIND_OF[cls] for cls in EVENT_TYPES.values()} == set(EventKind)

    @pytest.mark.parametrize("status", FirmwareStatus)
    def test_each_turn_of_an_update_has_a_token_and_what_lies_between_has_none(self, status) -> None:
        record = EventRecord("A", FirmwareStatusReported(status), AT, AT, 1)
        tokens = {
            "firmware_failed": "DownloadFailed InstallationFailed InstallVerificationFailed InvalidSignature",
            "installed": "Installed",
            "fetched": "SignatureVerified InstallScheduled",
            "installing": "Installing InstallRebooting",
        }
        found = [token for token, words in tokens.items() if status.value in words.split()]
        assert wake_token(record) == (found[0] if found else None)

    def test_a_boot_wakes_and_a_heartbeat_does_not(self) -> None:
        assert wake_token(EventRecord("A", ChargerBooted("V", "M", "1"), AT, AT, 1)) == "booted"
        unversioned = EventRecord("A", ChargerBooted("V", "M", None), AT, AT, 1)
        assert wake_token(unversioned) == "restarted", "it moves a command, and no update"
        assert wake_token(EventRecord("A", HeartbeatReceived(), AT, AT, 1)) is None

    @pytest.mark.requirement("S38")
    def test_distrust_of_the_firmware_wakes_as_its_status_does(self) -> None:
        told = [
            wake_token(EventRecord("A", SecurityEventReported(name), AT, AT, 1))
            for name in ("InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate", "ResetOrReboot")
        ]
        assert told == ["firmware_failed", "firmware_failed", None]


class TestNames:
    @given(st.from_regex(r"[A-Za-z0-9*_=:+|@.\-]{1,48}", fullmatch=True))
    def test_an_ocpp_identity_is_kept_as_it_is(self, text: str) -> None:
        assert check_charger_id(text) == text

    @pytest.mark.parametrize("text", ["", "a" * 49, "a/b", "a b", "ä", "a\n", "a?b"])
    def test_other_identities_are_refused(self, text: str) -> None:
        with pytest.raises(InvalidName):
            check_charger_id(text)

    @pytest.mark.parametrize("text", ["", "A", "-a", "a-", "a" * 65, "a_b", "a\n"])
    def test_other_slugs_are_refused(self, text: str) -> None:
        with pytest.raises(InvalidName, match="site"):
            check_slug("site", text)

    @pytest.mark.parametrize("text", ["a", "a1", "north-depot", "a" * 64])
    def test_slugs_are_kept_as_they_are(self, text: str) -> None:
        assert check_slug("site", text) == text

    def test_one_lock_a_charger_whatever_the_work(self) -> None:
        assert charger_workflow_id("A") == "charger/A"
        assert campaign_workflow_id("c") == "campaign/c"
        assert wave_workflow_id("c", 1) == "campaign/c/w1"
        assert shard_workflow_id("c", 1, 2) == "campaign/c/w1/s2"
        assert artifact_workflow_id("ff") == "artifact/ff"
        assert node_queue("n", "b1") != node_queue("n", "b2"), "a restart drains no queue but its own"


class TestCanonical:
    def test_order_and_zone_do_not_matter(self) -> None:
        elsewhere = AT.astimezone(UTC)
        assert canonical_json({"b": 1, "a": AT}) == canonical_json({"a": elsewhere, "b": 1})
        assert canonical_json({"a": AT}) == b'{"a":"2026-11-20T12:00:00Z"}'

    @given(st.dictionaries(st.text(max_size=4), st.integers(-9, 9), max_size=4))
    def test_a_digest_changes_with_every_value(self, value: dict[str, int]) -> None:
        assert digest(value) == digest(dict(reversed(value.items())))
        assert digest(value) != digest({**value, "one more": 1})


class TestAudit:
    @pytest.fixture
    def rows(self) -> list[AuditRow]:
        rows: list[AuditRow] = []
        for number in range(1, 5):
            previous = rows[-1].row_hash if rows else GENESIS
            entry = AuditEntry(AT, "ann", "campaign.approved", f"campaign/{number}", {"n": number})
            rows.append(AuditRow(number, entry, previous, chain_hash(number, previous, entry)))
        return rows

    @pytest.mark.requirement("S65")
    def test_a_changed_a_missing_and_a_moved_row_are_found(self, rows: list[AuditRow]) -> None:
        assert first_break(rows) is None
        assert first_break([]) is None
        forged = replace(rows[1], entry=replace(rows[1].entry, actor="eve"))
        assert first_break([rows[0], forged, *rows[2:]]) == 2
        rehashed = replace(forged, row_hash=chain_hash(2, forged.previous_hash, forged.entry))
        assert first_break([rows[0], rehashed, *rows[2:]]) == 3, "the next row still names the old hash"
        assert first_break([rows[0], *rows[2:]]) == 3
        assert first_break([rows[1], rows[0], *rows[2:]]) == 2
        assert first_break(rows[1:]) == 2, "the beginning may not be cut off"
        assert first_break(rows[1:], rows[0].row_hash) is None


class TestErrors:
    def test_all_problems_are_told_at_once(self) -> None:
        error = InvalidInput("The plan is wrong.", ["no waves", "no chargers"], hint="Read the guide.")
        assert error.diagnostics() == "The plan is wrong.\n- no waves\n- no chargers\nRead the guide."
        assert NotFound("site", "s1", hint="Create it.").diagnostics() == "There is no site 's1'. Create it."
