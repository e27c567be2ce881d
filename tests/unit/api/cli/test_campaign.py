# long-file: every command of one group
"""Plan, approve, watch and stop: what people read and what is sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli.http import Api
from api.cli.session import Session

ARTIFACT = "ab" * 32
ID = "spring-1a2b3c"
PATH = f"/campaigns/{ID}"
PREVIEW = {
    "plan_digest": "ef" * 32,
    "cohort_size": 4,
    "waves": [
        {"name": "canary", "wave": 0, "chargers": ["CP-1"]},
        {"name": "rest", "wave": 1, "chargers": ["CP-2", "CP-3", "CP-4"]},
    ],
    "excluded": [
        {"charger_id": "CP-8", "reason": "It never reported its firmware."},
        {"charger_id": "CP-9", "reason": "It never reported its firmware."},
    ],
    "warnings": ["4 chargers are too few to see a failure rate below 50 %."],
}


@pytest.fixture
def known(fake: Any, sample: Any) -> Any:
    """An api that knows one artifact and one campaign."""
    fake.page("/artifacts", [sample.artifact(), sample.artifact(artifact_id="cc" * 32, version="1.0.0")])
    fake.page("/campaigns", [sample.summary()])
    fake.on("GET", PATH, (200, sample.campaign("awaiting_approval")))
    fake.page(f"{PATH}/decisions", [sample.decision()])
    return fake


def _plan(home: Path) -> Path:
    (home / "plan.yaml").write_text(
        "name: spring\nartifact: acme/1.1.0\nrollback_to: acme/1.0.0\n"
        "targets: {site_id: harbour}\nwaves:\n  - {name: all, share: 100%}\n"
    )
    return home / "plan.yaml"


def test_plan_shows_what_would_happen(run: Any, known: Any) -> None:
    known.on("POST", "/campaigns/plan", (200, {**PREVIEW, "required_approvals": 2}))
    result = run(
        *("campaign", "plan", "--artifact", "acme/1.1.0", "--model", "Acme/AC22"),
        *("--waves", "canary:25%,rest:75%", "--rollback-to", "acme/1.0.0"),
    )
    assert result.exit_code == 0, result.output
    assert known.last("POST", "/campaigns/plan").json == {
        "name": "acme-1.1.0",
        "artifact_id": ARTIFACT,
        "rollback_artifact_id": "cc" * 32,
        "targets": {"vendor": "Acme", "model": "AC22"},
        "waves": [{"name": "canary", "share": 0.25}, {"name": "rest", "share": 0.75}],
    }
    assert "acme-1.1.0: 4 chargers in 2 waves." in result.stdout
    assert "2 x It never reported its firmware. (CP-8, CP-9)" in result.stdout
    assert "Warning: 4 chargers are too few" in result.stdout
    assert (
        "Approvals: 2 before it starts, of people other than its author (a way back asks for 2 at least)."
        in result.stdout
    )
    assert "Nothing is stored yet" in result.stdout


def test_create_from_a_file(run: Any, known: Any, sample: Any, home: Path) -> None:
    known.on("POST", "/campaigns", (201, sample.campaign("awaiting_approval", approvals=[], waves=[])))
    result = run("campaign", "create", str(_plan(home)))
    assert result.exit_code == 0, result.output
    assert known.last("POST", "/campaigns").json["targets"] == {"site_id": "harbour"}
    assert "0 of 2, nobody yet" in result.stdout
    assert "canary: 10 %, soaks 1 h" in result.stdout
    assert result.stdout.rstrip().endswith(
        "Approve it: ampwave campaign approve spring --key file2:you.pem\n"
        "Where the signed metadata lists no approvers, leave --key out."
    )


def test_create_says_every_problem_of_the_plan(run: Any, known: Any, home: Path) -> None:
    known.refuse(
        "POST",
        "/campaigns",
        422,
        title="The input breaks rules",
        detail="The plan does not hold.",
        problems=["no charger matches", "acme/1.1.0 is not for Zed Z1"],
    )
    result = run("campaign", "create", str(_plan(home)))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[2:] == ["  - no charger matches", "  - acme/1.1.0 is not for Zed Z1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "not enough for a plan"),
        (["--artifact", "acme/1.1.0"], "not enough for a plan"),
        (["plan.yaml", "--waves", "all:100%"], "Give a plan file or flags, not both."),
    ],
)
def test_a_plan_that_makes_no_sense_is_never_sent(
    run: Any, known: Any, home: Path, arguments: list[str], said: str
) -> None:
    _plan(home)
    result = run("campaign", "plan", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert known.seen == []


def test_list(run: Any, known: Any) -> None:
    result = run("campaign", "list")
    assert "spring" in result.stdout
    assert "running" in result.stdout
    known.page("/campaigns", [])
    assert run("campaign", "list").stdout.startswith("No campaigns yet.")


def test_show_has_waves_and_decisions(run: Any, known: Any, sample: Any) -> None:
    waves = [
        sample.tally(0, "canary", updated=5, failed=1),
        sample.tally(1, "rest", 54, waiting=50, confirming=4),
    ]
    waiting = [{"reason": "held back, for our own machines are late: its node is", "chargers": 50}]
    known.on("GET", PATH, (200, {**sample.campaign(waves=waves), "waiting": waiting}))
    result = run("campaign", "show", "spring")
    assert "50 waiting: held back, for our own machines are late" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["canary", "6/6", "5", "1", "0", "0", "0", "0"] in lines
    assert ["rest", "0/54", "0", "0", "0", "50", "4", "0"] in lines
    assert "6 attempts" in result.stdout or "proceed" in result.stdout
    assert (
        json.loads(run("campaign", "show", "spring", "--json").stdout)["decisions"][0]["verdict"] == "proceed"
    )


def test_show_and_approve_have_the_plan_that_people_say_yes_to(run: Any, known: Any, sample: Any) -> None:
    plan = sample.campaign()["plan"]
    item = {**sample.campaign("awaiting_approval"), "plan": {**plan, "rollback_artifact_id": "cc" * 32}}
    known.on("GET", PATH, (200, item))
    known.on("POST", f"{PATH}/approve", (202, item))
    known.on("GET", f"/artifacts/{ARTIFACT}", (200, sample.artifact()))
    for arguments in (["show", "spring"], ["approve", "spring", "--yes"]):
        lines = run("campaign", *arguments).stdout.splitlines()
        shown = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in lines}
        assert shown["Image"] == "acme/1.1.0"
        assert shown["Way back"] == "cc" * 6, "who is told of no version sees the digest"
        assert shown["Waves"] == "canary 10 %, soaks 1 h; rest 90 %"
        assert shown["Gate"].startswith("outcomes only; 5 % may fail")
        assert shown["Approvals"].startswith("2 before it starts")


def test_a_verdict_that_compares_says_that_it_counts_in_points(run: Any, known: Any, sample: Any) -> None:
    def shown(reason: str) -> str:
        decided = sample.decision()
        decided["result"] = {**decided["result"], "health": {"reason": reason}}
        known.page(f"{PATH}/decisions", [decided])
        return str(run("campaign", "show", "spring").stdout)

    assert "in percentage points" in shown("Faults: 66.7 % of 9, 0 % of 37. That is 66.3 % more.")
    assert "in percentage points" not in shown("No charger was heard.")


def test_a_campaign_nobody_knows(run: Any, known: Any) -> None:
    result = run("campaign", "show", "autumn")
    assert result.exit_code == 1
    assert "There is no campaign 'autumn'" in result.stderr
    assert "ampwave campaign list" in result.stderr


def test_an_exact_name_or_id_wins_over_the_start_of_another(run: Any, known: Any, sample: Any) -> None:
    back = {"campaign_id": "end-roll-back-1a2b3c4d5e", "name": "end-roll-back"}
    failed = {"campaign_id": "end-roll-back-failed-9f8e7d6c5b", "name": "end-roll-back-failed"}
    whole = {"campaign_id": "end-roll-back", "name": "something else"}
    known.page("/campaigns", [sample.summary(**failed), sample.summary(**back)])
    known.on("GET", f"/campaigns/{back['campaign_id']}", (200, sample.campaign(**back)))
    known.page(f"/campaigns/{back['campaign_id']}/decisions", [])
    shown = run("campaign", "show", "end-roll-back")
    assert shown.exit_code == 0, shown.output
    assert "ampwave campaign watch end-roll-back\n" in shown.stdout
    assert "fits 2 campaigns" in run("campaign", "show", "end-roll").stderr

    listed = run("campaign", "list").stdout
    ends = [line.rstrip().rsplit(" ", 1)[1] for line in listed.splitlines()[1:]]
    assert ends == ["end-roll-back-f", "end-roll-back-1"], "as much of each id as tells it from the other"

    known.page("/campaigns", [sample.summary(**each) for each in (failed, back, whole)])
    known.on("GET", "/campaigns/end-roll-back", (200, sample.campaign(**whole)))
    known.page("/campaigns/end-roll-back/decisions", [])
    assert "something else (end-roll-back)" in run("campaign", "show", "end-roll-back").stdout


def test_what_is_said_to_type_next_fits_one_campaign(run: Any, known: Any, sample: Any) -> None:
    twins = [
        sample.summary(campaign_id=f"friday-{end}", name="friday") for end in ("1a2b3c4d5e", "1a2b3cffff")
    ]
    known.page("/campaigns", twins)
    one = sample.campaign(campaign_id="friday-1a2b3c4d5e", name="friday")
    known.on("GET", "/campaigns/friday-1a2b3c4d5e", (200, one))
    known.page("/campaigns/friday-1a2b3c4d5e/decisions", [])
    assert "fits 2 campaigns" in run("campaign", "show", "friday").stderr

    shown = run("campaign", "show", "friday-1a2b3c4").stdout

    assert "Follow it: ampwave campaign watch friday-1a2b3c4\n" in shown
    assert "friday-1a2b3c4\n" in run("campaign", "list").stdout


def test_resuming_under_a_halt_says_that_nothing_goes_on(run: Any, known: Any, sample: Any) -> None:
    stop = {"why": "everything is halted: ada: Smoke.", "lifted": "2 people lift it: ampwave halt restore 3"}
    known.on("POST", f"{PATH}/resume", (202, {**sample.campaign(), "stopped_by": [stop]}))
    known.on("GET", PATH, (200, {**sample.campaign(), "stopped_by": [stop]}))

    said = run("campaign", "resume", "spring").stdout

    assert said.splitlines() == [
        "spring: going on, but nothing is sent yet:",
        "  everything is halted: ada: Smoke. 2 people lift it: ampwave halt restore 3",
    ]
    assert "Stopped" in run("campaign", "show", "spring").stdout
    known.on("POST", f"{PATH}/resume", (202, sample.campaign()))
    assert run("campaign", "resume", "spring").stdout == "spring: going on.\n"


def test_targets_say_where_everybody_stands(run: Any, known: Any, sample: Any) -> None:
    rows = [
        sample.target("CP-1"),
        sample.target("CP-2", outcome="deferred", reason="session T-7 is open on EVSE 1", finished_at=None),
    ]
    known.page(f"{PATH}/targets", rows)
    result = run("campaign", "targets", "spring", "--wave", "0")
    assert "deferred" in result.stdout
    assert "session T-7 is open on EVSE 1" in result.stdout
    assert known.seen[-1].query["wave"] == ["0"]


class TestApprove:
    def test_it_names_exactly_the_plan_that_was_shown(self, run: Any, known: Any, sample: Any) -> None:
        known.on("POST", f"{PATH}/approve", (202, sample.campaign("running")))
        result = run("campaign", "approve", "spring", "--yes")
        assert result.exit_code == 0, result.output
        request = known.last("POST", f"{PATH}/approve")
        assert request.json == {"plan_digest": "ef" * 32}
        assert len(request.headers["Idempotency-Key"]) == 32
        assert "spring: approved. Follow it with: ampwave campaign watch spring" in result.stdout

    def test_somebody_elses_yes_is_asked_for(self, run: Any, known: Any, sample: Any) -> None:
        known.on("GET", PATH, (200, sample.campaign("awaiting_approval", approvals=[])))
        known.on("POST", f"{PATH}/approve", (202, sample.campaign("awaiting_approval", approvals=[])))
        result = run("campaign", "approve", "spring", "--yes")
        assert "approved, 1 of 2. It waits for somebody else's yes." in result.stdout

    def test_it_asks_first(self, run: Any, known: Any) -> None:
        result = run("campaign", "approve", "spring")
        assert result.exit_code == 2
        assert "Add --yes" in result.stderr
        assert not [one for one in known.seen if one.method == "POST"]

    def test_a_no_changes_nothing(self, run: Any, known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.cli.session._somebody_is_there", lambda: True)
        result = run("campaign", "approve", "spring", input="n\n")
        assert result.exit_code == 1
        assert "Nothing was changed." in result.stderr
        assert not [one for one in known.seen if one.method == "POST"]

    def test_another_plan_than_the_reviewed_one_is_not_approved(self, run: Any, known: Any) -> None:
        result = run("campaign", "approve", "spring", "--digest", "00" * 32, "--yes")
        assert result.exit_code == 1
        assert "not the one you reviewed" in result.stderr

    def test_a_refusal_is_told(self, run: Any, known: Any) -> None:
        known.refuse(
            "POST", f"{PATH}/approve", 409, title="The present state forbids this", detail="ada made it."
        )
        result = run("campaign", "approve", "spring", "--yes")
        assert result.exit_code == 1
        assert "ada made it." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "verb", "body"),
    [
        (["pause", "spring"], "pause", None),
        (["resume", "spring"], "resume", None),
        (["proceed", "spring", "--reason", "checked"], "proceed", {"reason": "checked"}),
        (
            ["skip", "spring", "CP-7", "--reason", "a technician is there"],
            "skip",
            {"charger_id": "CP-7", "reason": "a technician is there"},
        ),
        (
            ["recall", "spring", "CP-7", "--reason", "a technician is there"],
            "recall",
            {"charger_id": "CP-7", "reason": "a technician is there"},
        ),
        (
            ["extend", "spring", "--until", "2026-12-24T18:00:00+01:00", "--reason", "snow"],
            "extend",
            {"ends_at": "2026-12-24T18:00:00+01:00", "reason": "snow"},
        ),
        (
            ["abort", "spring", "--reason", "calls", "--rollback", "--yes"],
            "abort",
            {"reason": "calls", "rollback": True},
        ),
        (["abort", "spring", "--reason", "calls", "--yes"], "abort", {"reason": "calls", "rollback": False}),
    ],
)
def test_what_people_do_is_sent(
    run: Any, known: Any, sample: Any, arguments: list[str], verb: str, body: Any
) -> None:
    known.on("POST", f"{PATH}/{verb}", (202, sample.campaign()))
    result = run("campaign", *arguments)
    assert result.exit_code == 0, result.output
    request = known.last("POST", f"{PATH}/{verb}")
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers["Idempotency-Key"]
    assert json.loads(run("campaign", *arguments, "--json").stdout)["campaign_id"] == ID


@pytest.mark.requirement("R19")
@pytest.mark.parametrize("until", ["tomorrow", "2026-12-24", "2026-12-24T18:00", ""])
def test_an_end_needs_its_zone(run: Any, known: Any, until: str) -> None:
    result = run("campaign", "extend", "spring", "--until", until, "--reason", "snow")
    assert result.exit_code == 2
    assert "is not a time with its zone" in result.stderr
    assert not [one for one in known.seen if one.method == "POST"]


def test_aborting_needs_a_reason_and_a_yes(run: Any, known: Any) -> None:
    assert run("campaign", "abort", "spring", "--yes").exit_code == 2
    assert run("campaign", "abort", "spring", "--reason", "x").exit_code == 2
    assert not [one for one in known.seen if one.method == "POST"]


class TestWatch:
    def _play(self, fake: Any, sample: Any, *looks: Any, decisions: int = 0) -> None:
        fake.on("GET", PATH, *((200, look) for look in looks))
        fake.page(f"{PATH}/decisions", [sample.decision(wave=0, look=number) for number in range(decisions)])

    def test_one_line_per_change_until_it_ends(self, run: Any, known: Any, sample: Any) -> None:
        going = sample.campaign(waves=[sample.tally(0, "canary", updated=2, confirming=1)])
        done = sample.campaign("completed", waves=[sample.tally(0, "canary", updated=6)])
        self._play(known, sample, sample.campaign(), going, going, done, decisions=1)
        result = run("campaign", "watch", "spring")
        assert result.exit_code == 0, result.output
        assert [line[9:] for line in result.stdout.splitlines()] == [
            "running",
            "approved by grace",
            "gate of canary: proceed. "
            + known.answers["GET", f"{PATH}/decisions"][0][1]["items"][0]["reason"],
            "canary: 2/6 done (1 confirming, 3 pending, 2 updated)",
            "completed",
            "canary: 6/6 done (6 updated)",
        ]

    def test_a_rollback_is_named_once_and_the_others_by_their_outcome(self) -> None:
        from api.cli.campaign_views import wave_row
        from api.cli.watch import decision_line

        back = {"wave": 1000, "name": "rollback 1"}
        verdict = {"wave": 1000, "kind": "rollback", "verdict": "proceed", "reason": "All are back."}
        assert decision_line(verdict, {"waves": [back]}) == "gate of rollback 1: proceed. All are back."
        tally = {"wave": 1, "name": "rest", "total": 48, "by_phase": {"done": 48}}
        assert wave_row({**tally, "by_outcome": {"cancelled": 46, "already_current": 2}})[-1] == (
            "2 already current, 46 cancelled"
        )
        assert wave_row({**tally, "by_outcome": {"updated": 48}})[-1] == "0"

    def test_json_is_one_document_a_change(self, run: Any, known: Any, sample: Any) -> None:
        self._play(known, sample, sample.campaign(), sample.campaign("completed"))
        documents = [
            json.loads(line) for line in run("campaign", "watch", "spring", "--json").stdout.splitlines()
        ]
        assert [one["phase"] for one in documents] == ["running", "completed"]
        assert documents[1]["changes"] == ["completed"]

    def test_anything_but_completed_is_exit_code_1(self, run: Any, known: Any, sample: Any) -> None:
        self._play(known, sample, sample.campaign("rolled_back", reason="3 of 6 attempts failed."))
        result = run("campaign", "watch", "spring")
        assert result.exit_code == 1
        assert result.stderr.splitlines() == [
            "Error: spring ended as rolled back.",
            "  - 3 of 6 attempts failed.",
        ]

    def test_a_restart_of_the_api_is_sat_out(self, run: Any, known: Any, sample: Any) -> None:
        away = (503, {"title": "An engine does not answer", "detail": "PostgreSQL is away."})
        known.on("GET", PATH, (200, sample.campaign()), away, away, (200, sample.campaign("completed")))
        result = run("campaign", "watch", "spring")
        assert result.exit_code == 0
        assert result.stderr == "PostgreSQL is away. Still trying.\n"

    def test_an_api_that_stays_away_is_given_up(
        self, run: Any, known: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from datetime import timedelta

        monkeypatch.setattr("api.cli.watch.PATIENCE", timedelta())
        away = (503, {"title": "An engine does not answer", "detail": "PostgreSQL is away."})
        known.on("GET", PATH, (200, sample.campaign()), away)
        assert run("campaign", "watch", "spring").exit_code == 3

    def test_ctrl_c_leaves_the_campaign_alone(
        self, run: Any, known: Any, sample: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(session: Session, seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Session, "pause", interrupted)
        self._play(known, sample, sample.campaign())
        result = run("campaign", "watch", "spring")
        assert result.exit_code == 130
        assert "the campaign goes on" in result.stderr

    @pytest.mark.parametrize("width", [80, 100, 160])
    def test_the_live_picture_fits(self, sample: Any, width: int) -> None:
        import io

        from api.cli.output import Screen
        from api.cli.watch import render

        waves = [
            sample.tally(0, "canary", updated=5, failed=1),
            sample.tally(1, "rest", 54_000, waiting=50_000),
            sample.tally(1000, "canary", 5, updated=3),
        ]
        look = {**sample.campaign(waves=waves), "decisions": [sample.decision(failed=1)]}
        out = io.StringIO()
        Screen(out, width=width).draw(render(look, width))
        text = out.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert "6/6 100 %" in text
        assert "0/54000   0 %" in text
        assert "IN FLIGHT" in text
        assert ("━" in text) == (width > 80)


class TestVerdicts:
    """R54, X17: the stored inputs lead to the stored verdict, bit for bit, on anybody's machine."""

    pytestmark = pytest.mark.requirement("R54", "X17")

    def test_from_the_api(self, run: Any, known: Any, sample: Any) -> None:
        known.page(f"{PATH}/decisions", [sample.decision(), sample.decision(failed=3, look=1)])
        result = run("campaign", "verify-verdict", "spring")
        assert result.exit_code == 0, result.output
        assert "2 of 2 verdicts follow from their stored inputs, bit for bit." in result.stdout
        assert [
            one["verdict"] for one in json.loads(run("campaign", "verify-verdict", "spring", "--json").stdout)
        ] == [
            "proceed",
            "abort",
        ]

    def test_from_a_file_without_any_api(self, run: Any, known: Any, home: Path, monkeypatch: Any) -> None:
        (home / "shown.json").write_text(run("campaign", "show", "spring", "--json").stdout)
        monkeypatch.delenv("AMPWAVE_TOKEN")
        monkeypatch.setattr(Api, "get", None)
        result = run("campaign", "verify-verdict", "--file", "shown.json")
        assert result.exit_code == 0, result.output
        assert "1 of 1 verdicts" in result.stdout

    @pytest.mark.parametrize(
        "change",
        [
            {"verdict": "proceed"},
            {"reason": "All went well."},
            {"result_sha256": "00" * 32},
            {"inputs_sha256": "00" * 32},
            {"result": {"word": "proceed"}},
            {"inputs": {}},
            {"kind": "horoscope"},
            {"wave": 1},
        ],
    )
    def test_any_change_is_seen(self, run: Any, known: Any, sample: Any, change: dict[str, Any]) -> None:
        known.page(f"{PATH}/decisions", [{**sample.decision(failed=3), **change}])
        result = run("campaign", "verify-verdict", "spring")
        assert result.exit_code == 1
        assert "broken" in result.stdout
        assert "1 of 1 verdicts do not follow from their inputs." in result.stderr

    def test_a_changed_fact_is_seen(self, run: Any, known: Any, sample: Any) -> None:
        decision = sample.decision(failed=3)
        decision["inputs"]["facts"]["failed"] = 0
        known.page(f"{PATH}/decisions", [decision])
        assert run("campaign", "verify-verdict", "spring").exit_code == 1

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "is not JSON"),
            ("[" * 200_000, "is not JSON"),
            ("{}", "holds no decisions"),
            ('[{"wave": 0}]', "not a decision"),
            (None, "No such"),
        ],
    )
    def test_a_file_that_is_none_is_wrong_use(self, run: Any, home: Path, content: Any, said: str) -> None:
        if content is not None:
            (home / "x.json").write_text(content)
        result = run("campaign", "verify-verdict", "--file", "x.json")
        assert result.exit_code == 2
        assert said in result.stderr

    def test_one_source_has_to_be_named(self, run: Any) -> None:
        assert run("campaign", "verify-verdict").exit_code == 2
