"""Chargers, sites, models and tokens at the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.schemas.chargers import EventReply, ImportReply, RowResult, SiteBody
from api.schemas.models import ModelBody
from storage.charger import SiteLease
from storage.events import ChargerBooted, EventKind, StoredEvent
from storage.twin import TwinState

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SITE = SiteBody(site_id="harbour", name="Harbour", time_zone="Europe/Berlin", max_down=2).model_dump()
NEW_RULES = {"feeder", "feeder_kw", "local_controller"}


class TestCharger:
    def _import(self, fake: Any, *rows: RowResult, dry_run: bool = False) -> None:
        counts = {
            word: sum(row.result == word for row in rows) for word in ("registered", "unchanged", "refused")
        }
        reply = ImportReply(dry_run=dry_run, rows=rows, **counts)
        fake.on("POST", "/chargers/import", (200, reply.model_dump(mode="json")))

    def test_import_sends_the_file_as_it_is(self, run: Any, fake: Any, home: Path) -> None:
        text = "charger_id,site_id,vendor,model\nCP-1,harbour,Acme,AC22\n"
        (home / "fleet.csv").write_text(text)
        self._import(fake, RowResult(row=1, charger_id="CP-1", result="registered"), dry_run=True)
        result = run("charger", "import", "fleet.csv", "--dry-run")
        assert result.exit_code == 0, result.output
        request = fake.last("POST", "/chargers/import")
        assert request.body.decode() == text
        assert request.headers["Content-Type"] == "text/csv"
        assert request.query == {"dry_run": ["true"]}
        assert result.stdout == "1 would be registered, 0 unchanged, 0 refused.\n"

    def test_refused_rows_are_named_and_make_it_fail(self, run: Any, fake: Any, home: Path) -> None:
        (home / "fleet.json").write_text("[]")
        bad = RowResult(row=2, charger_id=None, result="refused", problems=("site_id: there is no site 'x'",))
        self._import(fake, RowResult(row=1, charger_id="CP-1", result="registered"), bad)
        result = run("charger", "import", "fleet.json")
        assert result.exit_code == 1
        assert "site_id: there is no site 'x'" in result.stdout
        assert "1 of 2 rows were refused." in result.stderr
        assert json.loads(run("charger", "import", "fleet.json", "--json").stdout)["refused"] == 1

    def test_import_knows_two_kinds_of_file(self, run: Any, home: Path) -> None:
        assert run("charger", "import", "fleet.xlsx").exit_code == 2
        assert "cannot be read" in run("charger", "import", "none.csv").stderr

    def test_register(self, run: Any, fake: Any, sample: Any, home: Path) -> None:
        (home / "pw").write_text("correct-horse-battery\n")
        fake.on("POST", "/chargers", (201, sample.charger()))
        result = run(
            *("charger", "register", "CP-1", "--site", "harbour", "--model", "Acme/AC22"),
            *("--serial", "SN-1", "--password-file", "pw"),
        )
        assert result.exit_code == 0, result.output
        assert fake.last("POST", "/chargers").json == {
            "charger_id": "CP-1",
            "site_id": "harbour",
            "vendor": "Acme",
            "model": "AC22",
            "serial_number": "SN-1",
            "hardware_revision": None,
            "password": "correct-horse-battery",
            "security_floor": 0,
        }
        assert "correct-horse" not in result.output

    def test_a_made_password_is_shown_once_and_is_the_one_sent(
        self, run: Any, fake: Any, sample: Any
    ) -> None:
        fake.on("POST", "/chargers", (201, sample.charger()))
        options = ["--site", "harbour", "--model", "Acme/AC22", "--make-password", "--json"]
        shown = json.loads(run("charger", "register", "CP-1", *options).stdout)["password"]
        assert shown == fake.last("POST", "/chargers").json["password"]
        assert len(bytes.fromhex(shown)) == 20  # what every 1.6 charger takes as its AuthorizationKey

    def test_list_filters(self, run: Any, fake: Any, sample: Any) -> None:
        fake.page("/chargers", [sample.charger(), sample.charger("CP-2", firmware_version=None)])
        result = run("charger", "list", "--model", "Acme/AC22", "--site", "harbour", "--online")
        assert "CP-2" in result.stdout
        assert "never told" in result.stdout
        assert fake.seen[-1].query == {
            "limit": ["200"],
            "vendor": ["Acme"],
            "model": ["AC22"],
            "site_id": ["harbour"],
            "online": ["true"],
        }

    def test_empty_lists_say_what_to_do(self, run: Any, fake: Any) -> None:
        fake.page("/chargers", [])
        assert "ampwave charger import" in run("charger", "list").stdout
        assert "Leave a filter out" in run("charger", "list", "--offline").stdout

    def test_show(self, run: Any, fake: Any, sample: Any) -> None:
        lease = SiteLease("CP-1", "harbour", "charger/CP-1", "update", NOW)
        fake.on("GET", "/chargers/CP-1", (200, sample.charger(maintenance=lease)))
        result = run("charger", "show", "CP-1")
        assert result.exit_code == 0, result.output
        assert "1.0.0, before that 0.9.0" in result.stdout
        assert "T-7: Charging" in result.stdout
        assert "update by charger/CP-1" in result.stdout

    def test_a_charger_that_never_spoke(self, run: Any, fake: Any, sample: Any) -> None:
        silent = sample.charger(twin=TwinState("CP-1"), last_message_at=None)
        fake.on("GET", "/chargers/CP-1", (200, silent))
        result = run("charger", "show", "CP-1")
        assert "never told" in result.stdout
        assert "It has not reported its connectors yet" in result.stdout

    def test_an_identity_may_hold_odd_characters(self, run: Any, fake: Any, sample: Any) -> None:
        fake.on("GET", "/chargers/DE%2AABC%7C1%2B2", (200, sample.charger("DE*ABC|1+2")))
        assert run("charger", "show", "DE*ABC|1+2").exit_code == 0

    def test_an_unknown_charger(self, run: Any, fake: Any) -> None:
        result = run("charger", "show", "CP-404")
        assert result.exit_code == 1
        assert "`ampwave charger list` shows what there is." in result.stderr

    def test_what_a_charger_says_cannot_drive_the_terminal(self, run: Any, fake: Any, sample: Any) -> None:
        fake.page("/chargers", [sample.charger(vendor="\x1b]0;owned\x07[red]Evil", state="available")])
        text = run("charger", "list").stdout
        assert "\x1b" not in text
        assert "[red]Evil" in text

    def test_timeline(self, run: Any, fake: Any) -> None:
        body = {"vendor": "Acme", "model": "AC22", "firmware_version": "1.1.0", "reason": None}
        event = StoredEvent(9, "CP-1", EventKind.CHARGER_BOOTED, body, NOW, NOW)
        fake.page("/chargers/CP-1/timeline", [EventReply.of(event).model_dump(mode="json")])
        assert ChargerBooted(**body).firmware_version == "1.1.0"
        result = run("charger", "timeline", "CP-1")
        assert "charger booted" in result.stdout
        assert "vendor Acme, model AC22, firmware version 1.1.0" in result.stdout
        assert "reason" not in result.stdout


class TestSitesAndModels:
    def test_site_add(self, run: Any, fake: Any) -> None:
        fake.on("POST", "/sites", (201, SITE))
        result = run("site", "add", "harbour", "--time-zone", "Europe/Berlin", "--max-down", "2")
        # Said only where it is asked for: a server of before refuses words that it does not know.
        told = {key: value for key, value in SITE["rules"].items() if key not in NEW_RULES}
        assert fake.last("POST", "/sites").json == {**SITE, "name": "harbour", "rules": told}
        assert result.stdout == "Site harbour: Europe/Berlin; at most 2 down at once.\n"

    def test_a_site_keeps_its_time_zone_where_none_is_given(self, run: Any, fake: Any) -> None:
        fake.page("/sites", [{**SITE, "site_id": "other", "time_zone": "Asia/Tokyo"}, SITE])
        fake.on("POST", "/sites", lambda seen: (201, {**SITE, **seen.json}))
        result = run("site", "add", "harbour", "--max-down", "3")
        assert fake.last("POST", "/sites").json["time_zone"] == "Europe/Berlin"
        assert result.stdout == "Site harbour: Europe/Berlin; at most 3 down at once.\n"
        result = run("site", "add", "harbour", "--time-zone", "UTC")
        assert result.stdout == "Site harbour: UTC; at most 1 down at once.\n"

    def test_a_new_site_says_that_it_has_utc(self, run: Any, fake: Any) -> None:
        fake.page("/sites", [SITE])
        fake.on("POST", "/sites", lambda seen: (201, {**SITE, **seen.json}))
        result = run("site", "add", "pier")
        assert fake.last("POST", "/sites").json["time_zone"] == "UTC"
        said = "Site pier: UTC, as none was given (--time-zone); at most 1 down at once.\n"
        assert result.stdout == said

    def test_a_local_controller_is_named(self, run: Any, fake: Any) -> None:
        rules = {**SITE["rules"], "local_controller": "LC-1"}
        fake.page("/sites", [])
        fake.on("POST", "/sites", (201, {**SITE, "rules": rules}))
        result = run("site", "add", "harbour", "--local-controller", "LC-1")
        assert fake.last("POST", "/sites").json["rules"]["local_controller"] == "LC-1"
        assert "LC-1 fetches images for all" in result.stdout

    def test_site_list(self, run: Any, fake: Any) -> None:
        fake.page("/sites", [SITE])
        assert "Europe/Berlin" in run("site", "list").stdout
        fake.page("/sites", [])
        assert "ampwave site add" in run("site", "list").stdout

    def test_model_set(self, run: Any, fake: Any) -> None:
        stored = ModelBody(vendor="Acme", model="AC 22", signature_scheme="rsa-pss-sha256", reboot_seconds=90)
        fake.on("PUT", "/models", (200, stored.model_dump(mode="json")))
        result = run("model", "set", "Acme/AC 22", "--scheme", "rsa-pss", "--reboot", "90")
        assert result.exit_code == 0, result.output
        sent = fake.last("PUT", "/models").json
        assert ModelBody.model_validate(sent) == stored
        assert "never" in result.stdout

    def test_a_waiver_is_written_in_capitals(self, run: Any, fake: Any) -> None:
        stored = ModelBody(vendor="Acme", model="AC22", unsafe_unsigned_waiver="cso: no signer yet")
        fake.on("PUT", "/models", (200, stored.model_dump(mode="json")))
        result = run("model", "set", "Acme/AC22", "--unsafe-unsigned", "cso: no signer yet")
        assert "ALLOWED: cso: no signer yet" in result.stdout

    @pytest.mark.requirement("F74")
    def test_show_puts_learned_beside_declared(self, run: Any, fake: Any) -> None:
        seconds = {"samples": 7, "p50": 60.0, "p95": 90.0, "longest": 95.0}
        learned = {
            "from_version": None,
            "attempts": 9,
            "succeeded": 7,
            "order": ["Commanded", "Downloading", "Booted"],
            "order_share": 1.0,
            "never": ["Installed"],
            "stages": [{"begins": "Downloading", "ends": "Booted", "seconds": seconds}],
            "reboot": None,
            "whole": seconds,
        }
        quirk = {"name": "ftp-only", "evidence": "https://example.org: by FTP alone"}
        stored = ModelBody(vendor="Acme", model="AC/22", declared={"transfers": ["FTP"]})
        reply = {
            "vendor": "Acme",
            "model": "AC/22",
            "profile": stored.model_dump(mode="json"),
            "quirks": [quirk],
            "learned": learned,
        }
        fake.on("GET", "/models/Acme/AC%2F22", (200, reply))
        result = run("model", "show", "Acme/AC/22", "--from-version", "1.0")
        assert result.exit_code == 0, result.output
        for text in ("Commanded > Downloading > Booted (100% of them)", "7 of 9", "Never seen: Installed"):
            assert text in result.stdout
        assert "ftp-only" in result.stdout
        assert "transfers: ['FTP']" in result.stdout
        assert fake.last("GET", "/models/Acme/AC%2F22").query["from_version"] == ["1.0"]
        bare = {**reply, "profile": None, "learned": {**learned, "succeeded": 0}}
        fake.on("GET", "/models/Acme/AC%2F22", (200, bare))
        assert "Nothing is learned yet: 9 updates" in run("model", "show", "Acme/AC/22").stdout

    def test_capabilities_are_declared(self, run: Any, fake: Any) -> None:
        stored = ModelBody(
            vendor="Acme", model="AC22", declared={"transfers": ["FTP"], "signed_update": False}
        )
        fake.on("PUT", "/models", (200, stored.model_dump(mode="json")))
        result = run("model", "set", "Acme/AC22", "--transfers", "ftp", "--no-signed")
        assert result.exit_code == 0, result.output
        sent = fake.last("PUT", "/models").json["declared"]
        assert sent == {"transfers": ["FTP"], "signed_update": False}


TOKEN = {
    "token_id": "t1",
    "name": "ada",
    "role": "operator",
    "created_at": "2026-11-20T11:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}


class TestToken:
    def test_create_shows_the_text_once(self, run: Any, fake: Any) -> None:
        fake.on("POST", "/tokens", (201, {**TOKEN, "token": "amp_t1_secret"}))
        result = run("token", "create", "ada", "--role", "operator", "--days", "30")
        assert result.exit_code == 0, result.output
        sent = fake.last("POST", "/tokens").json
        assert (sent["name"], sent["role"]) == ("ada", "operator")
        assert datetime.fromisoformat(sent["expires_at"]) > datetime.now(UTC) + timedelta(days=29)
        assert "amp_t1_secret" in result.stdout
        assert "not shown again" in result.stdout

    def test_create_into_a_file_keeps_it_off_the_screen(self, run: Any, fake: Any, home: Path) -> None:
        fake.on("POST", "/tokens", (201, {**TOKEN, "token": "amp_t1_secret"}))
        result = run("token", "create", "ada", "--role", "operator", "--out", "ada.token")
        assert "amp_t1_secret" not in result.output
        assert (home / "ada.token").read_text() == "amp_t1_secret\n"
        assert (home / "ada.token").stat().st_mode & 0o777 == 0o600
        assert run("token", "create", "ada", "--role", "operator", "--out", "ada.token").exit_code == 2

    def test_roles_are_checked_here(self, run: Any, fake: Any) -> None:
        result = run("token", "create", "ada", "--role", "king")
        assert result.exit_code == 2
        assert "release-manager" in result.stderr
        assert fake.seen == []

    def test_list_tells_live_from_dead(self, run: Any, fake: Any) -> None:
        past = "2026-01-01T00:00:00Z"
        fake.page("/tokens", [TOKEN, {**TOKEN, "revoked_at": past}, {**TOKEN, "expires_at": past}])
        lines = run("token", "list").stdout.splitlines()[1:]
        assert [line.split()[2] for line in lines] == ["active", "revoked", "expired"]

    def test_revoke(self, run: Any, fake: Any) -> None:
        fake.on("DELETE", "/tokens/t1", (204, None))
        assert run("token", "revoke", "t1").stdout == "Token t1 is revoked.\n"
        assert "ampwave token list" in run("token", "revoke", "t2").stderr
