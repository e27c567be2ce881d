# long-file: every route of one noun
"""Campaigns at the door: preview, freeze once, and each act once however often it is sent."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from signing.errors import ApprovalRefused
from signing.proof import stored_envelope
from storage.access import Principal, Role
from storage.artifact import Artifact
from storage.audit import AuditEntry
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    Decision,
    Outcome,
    SignedDirective,
    TargetPhase,
    VerdictWord,
)
from storage.errors import Conflict, EngineUnavailable, NotFound
from storage.halt import EVERYTHING
from storage.windows import Closure, ClosureKind
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.support.house import NOW, House, plan_json

PLAN = "/api/v1/campaigns/plan"
ALL = "/api/v1/campaigns"


def ready(chargers: int = 8, **options: Any) -> tuple[House, Artifact]:
    house = House(**options)
    house.add_site()
    for number in range(chargers):
        house.add_charger(f"CP-{number:02}")
    return house, house.add_artifact("1.1.0", counter=2)


async def created(house: House, artifact: Artifact, **changes: Any) -> str:
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(ALL, json=plan_json(artifact, **changes), headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["campaign_id"])


@pytest.mark.requirement("R15")
async def test_a_preview_names_every_charger_of_every_wave_and_stores_nothing() -> None:
    house, artifact = ready()
    house.add_charger("OTHER", vendor="Amperix")
    async with house.client(Role.RELEASE_MANAGER) as client:
        preview = (await client.post(PLAN, json=plan_json(artifact))).json()

    assert preview["cohort_size"] == 8
    assert [len(wave["chargers"]) for wave in preview["waves"]] == [2, 6]
    named = {charger for wave in preview["waves"] for charger in wave["chargers"]}
    assert named == {f"CP-{n:02}" for n in range(8)}
    assert [each["charger_id"] for each in preview["excluded"]] == ["OTHER"]
    assert not house.campaigns.all


async def test_a_campaign_freezes_the_cohort_that_the_preview_showed() -> None:
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        preview = (await client.post(PLAN, json=plan_json(artifact))).json()
        answer = await client.post(ALL, json=plan_json(artifact))

    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{ALL}/{body['campaign_id']}"
    assert body["plan_digest"] == preview["plan_digest"]
    assert body["phase"] == "awaiting_approval"
    assert body["plan"]["waves"][0]["name"] == "canary"
    assert body["campaign_id"].startswith("spring-release-")
    rows = house.campaigns.rows[body["campaign_id"]]
    assert {row.campaign_id for row in rows} == {body["campaign_id"]}
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"waves": [{"name": "all", "share": 0.7}]}, "add up to 1"),
        ({"targets": {"model": "None such"}}, "no charger"),
        ({"targets": {"charger_ids": ["OTHER"]}}, "none of the 1"),
        ({"rollback_artifact_id": "f" * 64}, "no rollback artifact"),
        ({"after": "nothing"}, "after names campaign nothing, which is not there: it takes a whole id"),
    ],
)
async def test_a_plan_that_cannot_run_is_refused_with_reasons_and_recorded(
    changes: dict[str, Any], says: str
) -> None:
    house, artifact = ready()
    house.add_charger("OTHER", vendor="Amperix")
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(ALL, json=plan_json(artifact, **changes))

    assert answer.status_code == 422
    assert any(says in problem for problem in answer.json()["problems"])
    assert not house.campaigns.all
    assert house.audit.actions == ["campaign.refused"]


@pytest.mark.requirement("R14", "R32")
async def test_whoever_comes_after_a_campaign_does_not_go_before_it() -> None:
    """By its priority the earlier one would wait for the later, and the later waits for the earlier."""
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        first = (await client.post(ALL, json=plan_json(artifact))).json()["campaign_id"]

        async def refused(priority: int) -> bool:
            plan = plan_json(artifact, after=first, priority=priority)
            answer = await client.post(PLAN, json=plan)
            return any("each would wait for the other" in one for one in answer.json().get("problems") or ())

        assert await refused(501)
        assert not await refused(500)
        house.campaigns.all[first] = replace(house.campaigns.all[first], phase=CampaignPhase.COMPLETED)
        assert not await refused(501), "it waits for nobody any more"


async def test_a_plan_that_reaches_nobody_says_why_a_line_per_reason() -> None:
    house, artifact = ready(0)
    for number in range(3):
        house.add_charger(f"NOW-{number}", version="1.1.0")
    house.add_charger("OTHER", vendor="Amperix")
    async with house.client(Role.RELEASE_MANAGER) as client:
        few = (await client.post(PLAN, json=plan_json(artifact))).json()["problems"]
        for number in range(20):
            house.add_charger(f"M-{number}", model=f"M{number}")
        many = (await client.post(PLAN, json=plan_json(artifact))).json()["problems"]
        house.add_charger("FITS")
        some = await client.post(PLAN, json=plan_json(artifact, waves=[{"name": "a", "share": 0.5}]))

    assert few[-2:] == [
        "3 chargers: it runs 1.1.0 already",
        "1 charger: Amperix V22 is not a model that volta 1.1.0 is for",
    ]
    reasons = [line for line in many if "charger" in line.split(":")[0] and ":" in line]
    assert (len(reasons), reasons[-1]) == (10, "13 chargers: other reasons")
    assert sum(int(line.split()[0]) for line in reasons) == 24
    assert not any("already" in line for line in some.json()["problems"])


async def test_an_unknown_artifact_is_told_with_every_other_reason() -> None:
    house, artifact = ready()
    bad = plan_json(
        replace(artifact, artifact_id="e" * 64),
        rollback_artifact_id="f" * 64,
        after="nothing",
        targets={"charger_ids": ["CP-00", "X1"], "site_id": "moon"},
        waves=[{"name": "a", "share": 0.5}, {"name": "b", "charger_ids": ["X9"]}],
        pace={"tick_seconds": 0.5},
        end_at="2020-01-01T00:00:00Z",
    )
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(ALL, json=bad)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")
    assert answer.json()["problems"] == [
        f"there is no artifact {'e' * 64} (ampwave artifact list)",
        "pace.tick_seconds must be at least 1: every tick reads all who wait; the usual is 30",
        "the shares of waves without a list, query or count must add up to 1, not 0.5",
        "targets.site_id names site moon, which is not there (ampwave site list)",
        "targets names chargers that are not there, or that the rest of targets leaves out: CP-00, X1",
        "targets matches no charger",
        "after names campaign nothing, which is not there: it takes a whole id",
        f"there is no rollback artifact {'f' * 64} (ampwave artifact list)",
        "wave 'b' names chargers that targets does not match: X9",
        "end_at is in the past",
    ]
    assert house.audit.actions == ["campaign.refused"]


async def test_a_campaign_that_is_not_there_is_told_once_and_not_of_each_charger() -> None:
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(PLAN, json=plan_json(artifact, after="nothing"))

    assert answer.json()["problems"] == [
        "after names campaign nothing, which is not there: it takes a whole id"
    ]


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("pause", None),
        ("resume", None),
        ("abort", {"reason": "why"}),
        ("extend", {"ends_at": "2027-01-01T00:00:00Z", "reason": "why"}),
        ("skip", {"charger_id": "CP-00", "reason": "why"}),
    ],
)
async def test_a_campaign_that_is_over_takes_no_act_and_says_so(act: str, body: Any) -> None:
    house, artifact = ready()
    campaign = await created(house, artifact)
    house.campaigns.all[campaign] = replace(house.campaigns.all[campaign], phase=CampaignPhase.ROLLED_BACK)
    house.orchestrator.failure = Conflict("Its workflow is over or was never started.")
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(f"{ALL}/{campaign}/{act}", json=body)

    assert answer.status_code == 409
    assert answer.json()["detail"].startswith(f"Campaign {campaign} is over: rolled back. Nothing in it can")
    assert house.audit.actions[-1] == f"campaign.{act}_refused"


@pytest.mark.requirement("F48")
async def test_a_repeated_request_returns_the_first_campaign() -> None:
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        headers = {"Idempotency-Key": "once"}
        first = await client.post(ALL, json=plan_json(artifact), headers=headers)
        house.add_charger("CP-99")  # the fleet moves on; the first cohort stands
        again = await client.post(ALL, json=plan_json(artifact), headers=headers)
        other = await client.post(ALL, json=plan_json(artifact, seed=7), headers=headers)

    assert first.json() == again.json()
    assert len(house.campaigns.all) == 1
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    assert house.orchestrator.asked == [("start_campaign", first.json()["campaign_id"])]


async def test_a_key_belongs_to_its_caller() -> None:
    house, artifact = ready()
    ada = house.token(Principal("ada", Role.RELEASE_MANAGER))
    ids = set()
    for text in (ada, house.texts[Role.RELEASE_MANAGER]):
        async with house.client(text=text) as client:
            answer = await client.post(ALL, json=plan_json(artifact), headers={"Idempotency-Key": "k"})
            ids.add(answer.json()["campaign_id"])

    assert len(ids) == 2


async def test_a_campaign_whose_start_was_lost_starts_with_its_repeat() -> None:
    house, artifact = ready()
    house.orchestrator.failure = EngineUnavailable("Temporal does not answer.")
    async with house.client(Role.RELEASE_MANAGER) as client:
        headers = {"Idempotency-Key": "once"}
        lost = await client.post(ALL, json=plan_json(artifact), headers=headers)
        house.orchestrator.failure = None
        again = await client.post(ALL, json=plan_json(artifact), headers=headers)

    assert lost.status_code == 503
    assert again.json()["phase"] == "awaiting_approval"
    assert len(house.campaigns.all) == 1


@pytest.mark.requirement("R11", "R30")
async def test_people_move_a_campaign_through_its_phases() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    digest = house.campaigns.all[campaign_id].plan_digest
    phases = []
    async with house.client(Role.ADMIN) as client:
        for verb, body in (
            ("approve", {"plan_digest": digest}),
            ("pause", None),
            ("resume", None),
            ("proceed", {"reason": "Checked by hand."}),
            ("skip", {"charger_id": "CP-03", "reason": "On the bench."}),
            ("recall", {"charger_id": "CP-04", "reason": "On the bench."}),
            ("abort", {"rollback": True, "reason": "Sessions fail."}),
        ):
            answer = await client.post(f"{ALL}/{campaign_id}/{verb}", json=body)
            assert answer.status_code == 202, answer.text
            assert answer.headers["location"] == f"{ALL}/{campaign_id}"
            phases.append(answer.json()["phase"])

    assert phases == ["running", "paused", "running", "running", "running", "running", "aborting"]
    assert house.campaigns.all[campaign_id].approvals[0].actor == "admin@ampwave.test"
    assert house.orchestrator.asked[-1] == (
        "abort",
        campaign_id,
        "admin@ampwave.test",
        "Sessions fail.",
        True,
    )


@pytest.mark.requirement("F48")
@pytest.mark.parametrize("act", ["skip", "recall"])
async def test_a_key_that_was_used_for_another_charger_is_refused_aloud(act: str) -> None:
    house, artifact = ready()
    path = f"{ALL}/{await created(house, artifact)}/{act}"
    first = {"charger_id": "CP-03", "reason": "On the bench."}
    async with house.client(Role.ADMIN) as client:
        headers = {"Idempotency-Key": "K"}
        once = await client.post(path, json=first, headers=headers)
        other = await client.post(path, json=first | {"charger_id": "CP-04"}, headers=headers)
        again = await client.post(path, json=first, headers=headers)
        fresh = await client.post(
            path, json=first | {"charger_id": "CP-04"}, headers={"Idempotency-Key": "L"}
        )

    assert (once.status_code, again.status_code, fresh.status_code) == (202, 202, 202)
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    assert "was used for something else before" in other.json()["detail"]
    assert [asked[2] for asked in house.orchestrator.asked if asked[0] == act] == ["CP-03", "CP-04"]


@pytest.mark.parametrize("act", ["skip", "recall"])
async def test_a_charger_that_is_not_in_the_campaign_is_not_found(act: str) -> None:
    house, artifact = ready()
    path = f"{ALL}/{await created(house, artifact)}/{act}"
    house.orchestrator.failure = NotFound("charger in this campaign", "CP-99")
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(path, json={"charger_id": "CP-99", "reason": "On the bench."})
    assert answer.status_code == 404
    assert house.audit.actions[-1] == f"campaign.{act}_refused"


@pytest.mark.parametrize(
    ("act", "first", "other"),
    [
        (
            "abort",
            {"reason": "Sessions fail.", "rollback": False},
            {"reason": "Sessions fail.", "rollback": True},
        ),
        (
            "extend",
            {"ends_at": "2026-12-24T18:00:00Z", "reason": "r"},
            {"ends_at": "2026-12-25T18:00:00Z", "reason": "r"},
        ),
        ("skip-matching", {"query": "site = a", "reason": "r"}, {"query": "site = b", "reason": "r"}),
        ("approve", {"plan_digest": "a" * 64}, {"plan_digest": "b" * 64}),
    ],
)
async def test_every_act_binds_its_key_to_what_was_asked(act: str, first: Any, other: Any) -> None:
    house, artifact = ready()
    path = f"{ALL}/{await created(house, artifact)}/{act}"
    async with house.client(Role.ADMIN) as client:
        headers = {"Idempotency-Key": "K"}
        told = await client.post(path, json=first, headers=headers)
        refused = await client.post(path, json=other, headers=headers)
        again = await client.post(path, json=first, headers=headers)

    assert refused.status_code == 422
    assert refused.json()["type"] == "/problems/idempotency-key-reused"
    assert again.status_code == told.status_code


async def test_a_signed_approval_may_be_repeated_with_a_new_signature() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    digest = house.campaigns.all[campaign_id].plan_digest
    async with house.client(Role.ADMIN) as client:
        for evidence in ("one", "two"):
            body = {"plan_digest": digest, "evidence": evidence}
            answer = await client.post(
                f"{ALL}/{campaign_id}/approve", json=body, headers={"Idempotency-Key": "K"}
            )
            assert answer.status_code == 202


@pytest.mark.requirement("S66")
async def test_a_campaign_says_what_keeps_anything_from_being_sent_and_how_it_ends() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    freeze = Closure(
        house.now, house.now + timedelta(hours=2), ClosureKind.FREEZE, "Market day.", closure_id="c1"
    )
    house.upkeep.closed["c1"] = freeze
    house.upkeep.closed["c2"] = replace(freeze, site_id="harbour", closure_id="c2")
    halt = await house.halts.pull(EVERYTHING, "ada", "Smoke.", house.now)
    subject = artifact_subject(house.campaigns.all[campaign_id].plan.artifact_id)
    await house.withdrawals.add(
        [Withdrawal(subject, "It bricks.", Source.PERSON, "ada", house.now)],
        lambda _: AuditEntry(house.now, "ada", "artifact.withdrawn", subject, {}),
    )
    async with house.client(Role.ADMIN) as client:
        stopped = (await client.get(f"{ALL}/{campaign_id}")).json()["stopped_by"]
        await client.post(f"{ALL}/{campaign_id}/abort", json={"reason": "r", "rollback": False})
        house.campaigns.all[campaign_id] = replace(
            house.campaigns.all[campaign_id], phase=CampaignPhase.ABORTED
        )
        over = (await client.get(f"{ALL}/{campaign_id}")).json()["stopped_by"]

    assert [one["why"] for one in stopped] == [
        halt.sentence,
        "its image was withdrawn by ada: It bricks.",
        "everything is frozen until 2026-11-20 14:00Z: Market day.",
    ], "one site's freeze is no standstill"
    assert f"ampwave halt restore {halt.halt_id}" in stopped[0]["lifted"]
    assert f"ampwave withdrawal restore {subject}" in stopped[1]["lifted"]
    assert "ampwave calendar open c1" in stopped[2]["lifted"]
    assert over == []


@pytest.mark.requirement("S25")
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SECURITY])
async def test_who_may_only_stop_cannot_send_older_firmware_to_a_fleet(role: Role) -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    path, body = f"{ALL}/{campaign_id}/abort", {"reason": "Sessions fail.", "rollback": True}
    async with house.client(role) as client:
        refused = await client.post(path, json=body)
        assert house.campaigns.all[campaign_id].phase is CampaignPhase.AWAITING_APPROVAL
        stopped = await client.post(path, json=body | {"rollback": False})

    assert refused.status_code == 403
    assert "release-manager" in refused.text
    assert house.audit.actions == ["campaign.created", "campaign.abort_refused"]
    assert stopped.status_code == 202


@pytest.mark.requirement("R19")
async def test_an_end_is_shown_and_moved_by_somebody_else() -> None:
    house, artifact = ready()
    ends, later = NOW + timedelta(days=20), NOW + timedelta(days=21)
    changes = {"end_at": ends.isoformat(), "end_behaviour": "pause"}
    campaign_id = await created(house, artifact, **changes)
    path = f"{ALL}/{campaign_id}"
    async with house.client(Role.ADMIN) as client:
        shown = (await client.get(path)).json()
        moved = await client.post(f"{path}/extend", json={"ends_at": later.isoformat(), "reason": "Snow."})
        earlier = await client.post(f"{path}/extend", json={"ends_at": ends.isoformat(), "reason": "Sun."})
        zoneless = await client.post(f"{path}/extend", json={"ends_at": "2027-01-01T00:00", "reason": "?"})
    async with house.client(Role.RELEASE_MANAGER) as author:
        refused = await author.post(f"{path}/extend", json={"ends_at": "2027-06-01T00:00Z", "reason": "Me."})
    async with house.client(Role.OPERATOR) as client:
        forbidden = await client.post(
            f"{path}/extend", json={"ends_at": "2027-06-01T00:00Z", "reason": "Me."}
        )

    assert datetime.fromisoformat(shown["ends_at"]) == ends
    assert (shown["plan"]["end_behaviour"], moved.status_code) == ("pause", 202)
    assert datetime.fromisoformat(moved.json()["ends_at"]) == later
    assert datetime.fromisoformat(moved.json()["plan"]["end_at"]) == ends, "what people approved stays"
    assert (earlier.status_code, zoneless.status_code, refused.status_code) == (409, 422, 409)
    assert "four eyes" in refused.text
    assert forbidden.status_code == 403
    assert house.audit.actions.count("campaign.extend_refused") == 2


async def test_an_act_with_the_same_key_happens_once() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    body = {"plan_digest": house.campaigns.all[campaign_id].plan_digest}
    async with house.client(Role.ADMIN) as client:
        for _ in range(2):
            headers = {"Idempotency-Key": "a"}
            answer = await client.post(f"{ALL}/{campaign_id}/approve", json=body, headers=headers)
            assert answer.status_code == 202

    assert len(house.campaigns.all[campaign_id].approvals) == 1


async def test_what_the_phase_or_four_eyes_forbid_is_a_conflict_on_record() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    body = {"plan_digest": house.campaigns.all[campaign_id].plan_digest}
    async with house.client(Role.RELEASE_MANAGER) as client:
        early = await client.post(f"{ALL}/{campaign_id}/resume")
        own = await client.post(f"{ALL}/{campaign_id}/approve", json=body)
        missing = await client.post(f"{ALL}/no-such-one/pause")

    assert early.status_code == own.status_code == 409
    assert "awaiting_approval" in early.json()["detail"]
    assert "wrote this plan; somebody else has to approve it" in own.json()["detail"]
    assert missing.status_code == 404
    assert house.audit.actions == ["campaign.created", "campaign.resume_refused", "campaign.approve_refused"]


@pytest.mark.requirement("F120")
async def test_every_target_is_listed_once_over_pages_and_waves() -> None:
    house, artifact = ready(9)
    campaign_id = await created(house, artifact)
    rows = house.campaigns.rows[campaign_id]
    rows[0] = replace(rows[0], phase=TargetPhase.DONE, outcome=Outcome.FAILED, reason="It fell back.")
    seen: list[tuple[int, int]] = []
    async with house.client(Role.VIEWER) as client:
        path, cursor = f"{ALL}/{campaign_id}/targets", None
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await client.get(path, params=params)).json()
            seen += [(each["wave"], each["ordinal"]) for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        canary = (await client.get(path, params={"wave": 0})).json()
        bad = await client.get(path, params={"cursor": "1; DROP"})

    assert seen == [(row.wave, row.ordinal) for row in rows]
    assert {each["wave"] for each in canary["items"]} == {0}
    assert canary["items"][0]["outcome"] == "failed"
    assert bad.status_code == 422


@pytest.mark.requirement("X17")
async def test_a_decision_comes_with_the_inputs_to_recompute_it() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    decision = Decision(
        campaign_id, 0, 0, NOW, "gate", VerdictWord.HOLD, "Too few.", {"policy": {}}, "a" * 64, {}, "b" * 64
    )
    house.campaigns.verdicts[campaign_id] = [decision]
    async with house.client(Role.VIEWER) as client:
        body = (await client.get(f"{ALL}/{campaign_id}/decisions")).json()

    assert body["items"][0]["verdict"] == "hold"
    assert body["items"][0]["inputs"] == {"policy": {}}
    assert body["items"][0]["inputs_sha256"] == "a" * 64


async def test_one_campaign_shows_its_waves_in_numbers_and_keeps_its_etag() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    async with house.client(Role.VIEWER) as client:
        first = await client.get(f"{ALL}/{campaign_id}")
        same = await client.get(f"{ALL}/{campaign_id}", headers={"If-None-Match": first.headers["etag"]})
        await house.campaigns.set_phase(campaign_id, CampaignPhase.RUNNING, "Canary.", NOW)
        moved = await client.get(f"{ALL}/{campaign_id}", headers={"If-None-Match": first.headers["etag"]})
        listed = (await client.get(ALL)).json()

    assert [(wave["name"], wave["total"]) for wave in first.json()["waves"]] == [("canary", 2), ("rest", 6)]
    assert same.status_code == 304
    assert moved.json()["phase"] == listed["items"][0]["phase"] == "running"


@pytest.mark.parametrize(
    "changes",
    [
        {"waves": []},
        {"waves": [{"name": "all", "share": "1"}]},
        {"required_approvals": True},
        {"start_at": "2026-11-20T12:00:00"},
        {"start_at": 1},
        {"gate": {"min_attempts": 1.5}},
        {"pace": {"window": 201}},
        {"surprise": 1},
        {"targets": {"online": "yes"}},
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused(changes: dict[str, Any]) -> None:
    house, artifact = ready()
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post(PLAN, json=plan_json(artifact, **changes))

    assert answer.status_code == 422
    assert next(iter(changes)) in answer.json()["problems"][0]


@pytest.mark.requirement("S24")
async def test_a_yes_that_no_signer_would_count_is_refused_at_once_and_on_record() -> None:
    heard: list[tuple[str, str]] = []

    async def check(campaign: Campaign, approval: Approval) -> None:
        heard.append((campaign.campaign_id, approval.evidence))
        if not approval.evidence:
            raise ApprovalRefused("It has to be signed with your own key.", hint="--key")

    house, artifact = ready(check_approval=check)
    campaign_id = await created(house, artifact)
    body = {"plan_digest": house.campaigns.all[campaign_id].plan_digest}
    async with house.client(Role.ADMIN) as client:
        bare = await client.post(f"{ALL}/{campaign_id}/approve", json=body)
        huge = await client.post(f"{ALL}/{campaign_id}/approve", json=body | {"evidence": "x" * 9000})
        signed = await client.post(f"{ALL}/{campaign_id}/approve", json=body | {"evidence": "{}"})

    assert (bare.status_code, huge.status_code, signed.status_code) == (422, 422, 202)
    assert "your own key" in bare.text
    assert heard == [(campaign_id, ""), (campaign_id, "{}")]
    assert "campaign.approve_refused" in house.audit.actions
    assert [one.evidence for one in house.campaigns.all[campaign_id].approvals] == ["{}"]


@pytest.mark.requirement("S25")
@pytest.mark.parametrize(("asked", "needed"), [(None, 2), (1, 2), (3, 3)])
async def test_a_way_back_takes_two_approvals_whatever_the_plan_says(asked: int | None, needed: int) -> None:
    house, artifact = ready()
    older = house.add_artifact("1.0.0", counter=1)
    plan = {"rollback_artifact_id": older.artifact_id} | ({"required_approvals": asked} if asked else {})
    campaign_id = await created(house, artifact, **plan)
    assert house.campaigns.all[campaign_id].plan.required_approvals == needed
    async with house.client(Role.VIEWER) as client:
        shown = (await client.get(f"{ALL}/{campaign_id}")).json()
    assert shown["plan"]["required_approvals"] == needed


@pytest.mark.requirement("S24")
async def test_a_signed_directive_is_handed_out_as_it_was_signed() -> None:
    house, artifact = ready()
    campaign_id = await created(house, artifact)
    path = f"{ALL}/{campaign_id}/directives"
    envelope = b'{"payload":"e30=","payloadType":"x","signatures":[{"keyid":"k","sig":"s"}]}'
    house.campaigns.directives[campaign_id, 0, 1] = SignedDirective("d", campaign_id, 0, 1, envelope)
    async with house.client(Role.VIEWER) as client:
        found = await client.get(f"{path}/0/1")
        missing = [await client.get(f"{path}/{place}") for place in ("0/0", "7/1")]
        bad = [await client.get(f"{path}/{place}") for place in ("-1/0", "0/x", "0/9999999")]

    assert found.json()["envelope"] == json.loads(envelope)
    assert stored_envelope(found.content) == json.dumps(json.loads(envelope)).encode()
    assert [one.status_code for one in missing] == [404, 404]
    assert [one.status_code for one in bad] == [422, 422, 422]
