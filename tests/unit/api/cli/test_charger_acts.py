"""Commands and logs at the command line."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.cli.charger_acts import COMMANDS
from api.cli.command_options import usage
from api.commands import BY_NAME
from api.schemas.operator import CommandReply, LogReply
from storage.command import CommandEnd, CommandRecord, CommandState
from storage.log import LogRequest, LogSort, LogState, LogUpload

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DONE = CommandState.ANSWERED
PLACE = "/chargers/CP-1/commands"
LOGS = "/chargers/CP-1/logs"
LOG = b"one\ntwo\n"


def reply(command: str = "reset", end: CommandEnd | None = None) -> Any:
    record = CommandRecord("c1", "CP-1", command, {}, "ab" * 32, "olga", NOW, NOW, end, NOW if end else None)
    return CommandReply.of(record, NOW).model_dump(mode="json")


def answered(status: str = "Accepted", **returned: Any) -> CommandEnd:
    return CommandEnd(CommandState.ANSWERED, f"it answered {status}: as told", status, returned)


def log(state: LogState = LogState.UPLOADED, **changes: Any) -> Any:
    upload = LogUpload(7, "k", "CP-1.log", len(LOG), hashlib.sha256(LOG).hexdigest(), NOW)
    request = LogRequest(
        7, "CP-1", LogSort.SECURITY, "sam", NOW, NOW + timedelta(minutes=15), state=state, **changes
    )
    if state is LogState.UPLOADED:
        request = LogRequest(**{**{f: getattr(request, f) for f in request.__slots__}, "upload": upload})
    return LogReply.of(request).model_dump(mode="json")


class TestSend:
    @pytest.mark.parametrize(
        ("words", "body"),
        [
            (["reset"], {"command": "reset"}),
            (
                ["reset", "--kind", "Immediate", "--evse-id", "2"],
                {"command": "reset", "kind": "Immediate", "evse_id": 2},
            ),
            (["change-availability", "--operative"], {"command": "change-availability", "operative": True}),
            (
                ["change-availability", "--operative", "no"],
                {"command": "change-availability", "operative": False},
            ),
            (
                ["get-variables", "--names", "A.B", "--names", "C.D"],
                {"command": "get-variables", "names": ["A.B", "C.D"]},
            ),
            (["clear-monitoring", "--monitor-ids", "3"], {"command": "clear-monitoring", "monitor_ids": [3]}),
            (
                ["set-variables", "--values", "A=1=2", "--values", "B="],
                {"command": "set-variables", "values": {"A": "1=2", "B": ""}},
            ),
            (
                ["set-monitoring", "--name", "A.B", "--kind", "Delta", "--value", "1.5", "--severity", "3"],
                {"command": "set-monitoring", "name": "A.B", "kind": "Delta", "value": 1.5, "severity": 3},
            ),
            (
                ["install-certificate", "--use", "CSMSRootCertificate", "--certificate", "@root.pem"],
                {"command": "install-certificate", "use": "CSMSRootCertificate", "certificate": "PEM"},
            ),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_options_become_the_body(
        self, run: Any, fake: Any, home: Path, words: list[str], body: dict[str, Any]
    ) -> None:
        (home / "root.pem").write_text("PEM")
        fake.on("POST", PLACE, (200, reply(words[0], answered())))
        result = run("charger", "send", "CP-1", *words, "--deadline", "5")
        assert result.exit_code == 0, result.output
        assert fake.last("POST", PLACE).json == {**body, "deadline_seconds": 5.0}

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["dance"], "There is no command 'dance'"),
            (["update-firmware"], "through campaigns only"),
            (["reset", "--speed", "9"], "reset [--kind TEXT] [--evse-id N]"),
            (["reset", "now"], "no option 'now'"),
            (["reset", "--kind"], "needs a value"),
            (["reset", "--evse-id", "two"], "not a number"),
            (["set-variables", "--values", "A"], "NAME=VALUE"),
            (["install-certificate", "--certificate", "@none.pem"], "cannot be read"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_what_cannot_be_meant_is_said_so_before_anything_is_sent(
        self, run: Any, fake: Any, words: list[str], said: str
    ) -> None:
        result = run("charger", "send", "CP-1", *words)
        assert result.exit_code == 2
        assert said in result.stderr
        assert fake.seen == []

    def test_an_answer_is_shown_with_what_came_back(self, run: Any, fake: Any) -> None:
        end = answered(
            values=[["A.B", "1"]],
            items=[{"name": "C.D", "status": "Rejected", "detail": ""}],
            certificates=[{"use": "CSMSRootCertificate", "hash": {"serial_number": "0a"}}],
            list_version=4,
        )
        fake.on("POST", PLACE, (200, reply("get-variables", end)))
        result = run("charger", "send", "CP-1", "get-variables")
        assert "CP-1 answered get-variables: Accepted" in result.stdout
        for text in (
            "as told",
            "A.B",
            "C.D",
            "Rejected",
            "CSMSRootCertificate: serial_number 0a",
            "List version",
        ):
            assert text in result.stdout
        assert json.loads(run("charger", "send", "CP-1", "get-variables", "--json").stdout)["answer"][
            "returned"
        ]

    def test_one_that_goes_on_is_said_so(self, run: Any, fake: Any) -> None:
        fake.on("POST", PLACE, (202, reply()))
        result = run("charger", "send", "CP-1", "reset")
        assert result.exit_code == 0
        assert "has not answered reset yet" in result.stdout

    def test_a_refusal_says_why_and_fails(self, run: Any, fake: Any) -> None:
        fake.refuse("POST", PLACE, 409, title="A session is open", detail="No session is ever cut.")
        result = run("charger", "send", "CP-1", "reset")
        assert result.exit_code == 1
        assert "No session is ever cut." in result.stderr

    def test_help_names_every_command_there_is(self, run: Any) -> None:
        assert {name for rows in COMMANDS.values() for name, _ in rows} == set(BY_NAME)
        text = run("charger", "send", "--help").stdout
        for name, door in BY_NAME.items():
            assert f"  {name} " in text
            assert usage(door).startswith(name)


class TestRotatePassword:
    def test_no_password_goes_in_or_comes_out(self, run: Any, fake: Any) -> None:
        said = "it answered Accepted: it has a new password, and the old one is dead"
        fake.on("POST", PLACE, (200, reply("rotate-password", CommandEnd(DONE, said, "Accepted"))))
        result = run("charger", "rotate-password", "CP-1", "--deadline", "5")
        assert result.exit_code == 0, result.output
        body = fake.last("POST", PLACE).json
        assert body == {"command": "rotate-password", "deadline_seconds": 5.0}
        assert "CP-1 answered rotate-password: Accepted" in result.stdout
        assert "the old one is dead" in result.stdout

    def test_there_is_no_way_to_say_a_password_on_the_command_line(self, run: Any, fake: Any) -> None:
        assert run("charger", "rotate-password", "CP-1", "hush").exit_code == 2
        assert run("charger", "rotate-password", "CP-1", "--password", "hush").exit_code == 2
        assert fake.seen == []


class TestLogs:
    def serve(self, fake: Any, *looks: Any, content: bytes = LOG) -> None:
        fake.on("POST", LOGS, (202, log(LogState.REQUESTED)))
        fake.on("GET", f"{LOGS}/7", *((200, look) for look in looks))
        fake.on("GET", f"{LOGS}/7/content", (200, content))

    def test_a_log_is_awaited_fetched_and_checked(self, run: Any, fake: Any, home: Path) -> None:
        self.serve(fake, log(LogState.ASKED, reason="it answered Accepted"), log())
        result = run("charger", "logs", "CP-1", "--kind", "security", "--since", "2026-11-19T00:00:00Z")
        assert result.exit_code == 0, result.output
        assert fake.last("POST", LOGS).json == {
            "kind": "security",
            "until": None,
            "deadline_seconds": 900.0,
            "since": "2026-11-19T00:00:00+00:00",
        }
        assert (home / "CP-1.log").read_bytes() == LOG
        assert hashlib.sha256(LOG).hexdigest() in result.stdout
        assert "It answered Accepted." in result.stderr

    def test_it_goes_where_it_is_told(self, run: Any, fake: Any, home: Path) -> None:
        self.serve(fake, log())
        result = run("charger", "logs", "CP-1", "-o", "here.log", "--since", "2h", "--json")
        assert json.loads(result.stdout)["file"] == "here.log"
        assert (home / "here.log").read_bytes() == LOG
        since = datetime.fromisoformat(fake.last("POST", LOGS).json["since"])
        assert since < datetime.now(UTC)

    def test_other_bytes_are_not_kept(self, run: Any, fake: Any, home: Path) -> None:
        self.serve(fake, log(), content=b"other")
        result = run("charger", "logs", "CP-1", "-o", "x.log")
        assert result.exit_code == 1
        assert "other bytes" in result.stderr
        assert list(home.glob("x.log*")) == []

    def test_a_file_that_is_there_is_left_alone(self, run: Any, fake: Any, home: Path) -> None:
        (home / "CP-1.log").write_text("mine")
        self.serve(fake, log())
        assert run("charger", "logs", "CP-1").exit_code == 2
        assert (home / "CP-1.log").read_text() == "mine"

    def test_a_log_that_does_not_come_is_said_so(self, run: Any, fake: Any, home: Path) -> None:
        self.serve(fake, log(LogState.OVERDUE, reason="nothing arrived in time"))
        result = run("charger", "logs", "CP-1")
        assert result.exit_code == 1
        assert "nothing arrived in time (overdue)" in result.stderr
        assert "ampwave charger timeline CP-1" in result.stderr

    def test_one_that_may_not_be_read_is_said_so(self, run: Any, fake: Any, home: Path) -> None:
        self.serve(fake, log())
        fake.refuse("GET", f"{LOGS}/7/content", 403, detail="may not do log.security")
        result = run("charger", "logs", "CP-1")
        assert result.exit_code == 1
        assert "log.security" in result.stderr
        assert list(home.iterdir()) == []

    def test_the_list(self, run: Any, fake: Any) -> None:
        fake.on("GET", LOGS, (200, {"items": [log(), log(LogState.OFFLINE)], "next_cursor": None}))
        result = run("charger", "logs", "CP-1", "--list")
        assert "uploaded" in result.stdout
        assert "offline" in result.stdout
        fake.on("GET", LOGS, (200, {"items": [], "next_cursor": None}))
        assert "Nobody has asked it" in run("charger", "logs", "CP-1", "--list").stdout

    @pytest.mark.parametrize("words", [["--kind", "love"], ["--since", "yesterday"], ["--until", "5 h"]])
    def test_nonsense_is_refused_here(self, run: Any, fake: Any, words: list[str]) -> None:
        assert run("charger", "logs", "CP-1", *words).exit_code == 2
        assert fake.seen == []
