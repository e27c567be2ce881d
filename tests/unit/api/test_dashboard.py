# long-file: every page of one campaign
"""The dashboard: sessions that end when their token does, forms that only our pages can send, safe pages."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from api.dashboard.offers import gate_holds
from api.dashboard.routes import temporal_link
from api.dashboard.session import COOKIE
from api.ports import ApiLimits
from storage.access import Principal, Role
from storage.campaign import CampaignPhase, Decision, TargetPhase, VerdictWord, WaveTally
from storage.halt import EVERYTHING
from storage.windows import Closure, ClosureKind
from tests.support.house import NOW, House
from tests.support.showcase import showcase

RUNNING = "/campaigns/spring-release-1-1"
WAITING = "/campaigns/night-rollout"


@asynccontextmanager
async def browser(house: House, role: Role | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    async with house.client() as client:
        if role is not None:
            answer = await client.post("/login", data={"token": house.texts[role]})
            assert answer.status_code == 303
        yield client


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"no field {name}"
    return found[1]


async def press(client: httpx2.AsyncClient, page: str, verb: str, **fields: str) -> httpx2.Response:
    shown = (await client.get(page)).text
    form = {"proof": hidden(shown, "proof"), "key": hidden(shown, "key"), **fields}
    return await client.post(f"{page}/{verb}", data=form)


async def test_a_token_becomes_a_session_that_scripts_and_other_sites_cannot_use() -> None:
    house = House()
    async with browser(house) as client:
        answer = await client.post("/login?next=/campaigns", data={"token": house.texts[Role.VIEWER]})
        page = await client.get("/campaigns")

    cookie = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/campaigns"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert house.texts[Role.VIEWER] not in cookie
    assert page.status_code == 200


async def test_over_https_the_session_never_travels_in_the_clear() -> None:
    house = House()
    object.__setattr__(house.services, "base_url", "https://ampwave.test")
    async with browser(house) as client:
        answer = await client.post("/login", data={"token": house.texts[Role.VIEWER]})

    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("text", ["", "amp_x_" + "y" * 43, "'; DROP TABLE token; --"])
async def test_a_wrong_token_opens_no_session(text: str) -> None:
    async with browser(House()) as client:
        answer = await client.post("/login", data={"token": text})

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not known here" in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)"]
)
async def test_the_login_leads_nowhere_else(target: str) -> None:
    house = House()
    async with browser(house) as client:
        form = {"token": house.texts[Role.VIEWER]}
        answer = await client.post("/login", params={"next": target}, data=form)

    assert answer.headers["location"] == "/"


async def test_a_login_from_another_site_is_refused() -> None:
    house = House()
    async with browser(house) as client:
        form = {"token": house.texts[Role.VIEWER]}
        answer = await client.post("/login", data=form, headers={"Origin": "http://evil.test"})

    assert answer.status_code == 401


async def test_behind_a_proxy_the_public_address_is_ours_too() -> None:
    house = House()
    async with browser(house) as client:
        form = {"token": house.texts[Role.VIEWER]}
        headers = {"Origin": "http://ampwave.test", "Host": "inner:8080"}
        answer = await client.post("/login", data=form, headers=headers)

    assert answer.status_code == 303


async def test_a_session_ends_with_its_token_with_time_and_with_logout() -> None:
    house = House(limits=ApiLimits(session_seconds=60))
    async with browser(house, Role.VIEWER) as client:
        token = next(t for t in house.tokens.tokens if t.principal.role is Role.VIEWER)
        await house.tokens.revoke(token.token_id, NOW)
        assert (await client.get("/")).headers["location"].startswith("/login")
    async with browser(house, Role.ADMIN) as client:
        house.now = NOW + timedelta(seconds=61)
        assert (await client.get("/")).status_code == 303
        house.now = NOW
        proof = hidden((await client.get("/")).text, "proof")
        ended = await client.post("/logout", data={"proof": proof})
        assert 'ampwave_session=""' in ended.headers["set-cookie"]
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("value", ["", "x", "a.b.c.d", "0.99999999999.00." + "0" * 64])
async def test_a_made_up_session_is_none(value: str) -> None:
    async with House().client() as client:
        answer = await client.get("/", headers={"Cookie": f"{COOKIE}={value}"})

    assert answer.headers["location"] == "/login?next=/"


async def test_a_page_part_without_a_session_reloads_the_page_and_a_stream_ends() -> None:
    async with House().client() as client:
        part = await client.get("/campaigns", headers={"HX-Request": "true"})
        stream = await client.get("/live", headers={"Accept": "text/event-stream"})

    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")
    assert stream.status_code == 401


@pytest.mark.requirement("R30", "R53")
async def test_buttons_act_once_in_the_callers_name() -> None:
    house = showcase()
    async with browser(house, Role.RELEASE_MANAGER) as client:
        shown = (await client.get(RUNNING)).text
        form = {"proof": hidden(shown, "proof"), "key": hidden(shown, "key")}
        answers = [await client.post(f"{RUNNING}/pause", data=form) for _ in range(2)]

    assert [answer.headers["location"] for answer in answers] == [RUNNING, RUNNING]
    assert house.campaigns.all["spring-release-1-1"].phase is CampaignPhase.PAUSED
    assert [asked[0] for asked in house.orchestrator.asked] == ["pause"]
    assert house.orchestrator.asked[0][-1] == "release-manager@ampwave.test"


async def test_every_button_reaches_its_act() -> None:
    house = showcase()
    digest = house.campaigns.all["night-rollout"].plan_digest
    async with browser(house, Role.ADMIN) as client:
        assert (await press(client, WAITING, "approve", plan_digest=digest)).status_code == 303
        for verb, fields in (
            ("pause", {}),
            ("resume", {}),
            ("proceed", {"reason": "Seen."}),
            ("skip", {"reason": "Bench.", "charger_id": "CP-0003"}),
            ("recall", {"reason": "Bench.", "charger_id": "CP-0004"}),
            ("abort", {"reason": "Enough.", "rollback": "yes"}),
        ):
            assert (await press(client, RUNNING, verb, **fields)).status_code == 303, verb

    asked = [each[0] for each in house.orchestrator.asked]
    assert asked == ["approve", "pause", "resume", "proceed", "skip", "recall", "abort"]
    assert house.orchestrator.asked[-1][-1] is True


@pytest.mark.requirement("R19")
async def test_an_end_is_shown_and_can_be_moved() -> None:
    house = showcase()
    name = RUNNING.rpartition("/")[2]
    ends = house.campaigns.all[name].created_at + timedelta(days=9)
    house.campaigns.all[name] = replace(house.campaigns.all[name], ends_at=ends)
    async with browser(house, Role.ADMIN) as client:
        shown = (await client.get(RUNNING)).text
        done = await press(client, RUNNING, "extend", reason="Snow.", ends_at="2027-02-01T18:00")
        wrong = await press(client, RUNNING, "extend", reason="Snow.", ends_at="soon")

    assert f"until {ends:%Y-%m-%d %H:%M UTC}, then it stops" in shown
    assert f'action="{RUNNING}/extend"' in shown
    assert (done.status_code, wrong.status_code) == (303, 422)
    assert house.campaigns.all[name].ends_at == datetime(2027, 2, 1, 18, tzinfo=UTC)


async def test_a_held_wave_of_a_campaign_that_is_through_was_let_pass_by_a_person() -> None:
    house = showcase()
    name = RUNNING.rpartition("/")[2]
    campaign = house.campaigns.all[name]
    async with browser(house, Role.VIEWER) as client:
        assert "A person let it pass" not in (await client.get(RUNNING)).text
        for reason, where in (
            ("every wave passed its gate", "ampwave audit export"),
            (
                "every wave passed its gate, 1 of them by a person's word: grace let it",
                "the top of this page",
            ),
        ):
            done = replace(campaign, phase=CampaignPhase.COMPLETED, reason=reason)
            house.campaigns.all[name] = done
            told = (await client.get(RUNNING)).text.partition("A person let it pass")[2]
            assert where in told[:200]


@pytest.mark.parametrize("proof", ["", "0" * 64])
async def test_a_form_that_our_page_did_not_make_does_nothing(proof: str) -> None:
    house = showcase()
    async with browser(house, Role.ADMIN) as client:
        answer = await client.post(f"{RUNNING}/pause", data={"proof": proof})
        shown = (await client.get(RUNNING)).text
        foreign = await client.post(
            f"{RUNNING}/pause", data={"proof": hidden(shown, "proof")}, headers={"Origin": "http://evil.test"}
        )

    assert (answer.status_code, foreign.status_code) == (403, 403)
    assert not house.orchestrator.asked


async def test_a_proof_of_one_session_is_worthless_in_another() -> None:
    house = showcase()
    async with browser(house, Role.ADMIN) as first, browser(house, Role.RELEASE_MANAGER) as second:
        proof = hidden((await first.get(RUNNING)).text, "proof")
        answer = await second.post(f"{RUNNING}/pause", data={"proof": proof})

    assert answer.status_code == 403


@pytest.mark.requirement("R53")
@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        (Role.VIEWER, set()),
        (Role.OPERATOR, {"pause", "abort", "skip", "recall"}),
        (Role.SECURITY, {"pause", "abort"}),
        (Role.RELEASE_MANAGER, {"pause", "abort", "skip", "recall", "proceed"}),
        (Role.ADMIN, {"pause", "abort", "skip", "recall", "proceed"}),
    ],
)
async def test_each_role_sees_its_buttons_and_no_other_works(role: Role, verbs: set[str]) -> None:
    house = showcase()
    async with browser(house, role) as client:
        shown = (await client.get(RUNNING)).text
        offered = set(re.findall(rf'action="{RUNNING}/(\w+)"', shown))
        refused = {
            verb
            for verb in ("approve", "pause", "resume", "abort", "proceed", "skip", "recall")
            if (await client.post(f"{RUNNING}/{verb}", data={"proof": "x"})).text.count("which may not do")
        }

    assert offered == verbs
    assert not refused & verbs
    assert bool(refused) is (role not in (Role.RELEASE_MANAGER, Role.ADMIN))


@pytest.mark.parametrize(
    ("verdicts", "phases", "offered"),
    [
        ((), {}, False),
        (((0, VerdictWord.HOLD),), {}, True),
        (((0, VerdictWord.HOLD),), {0: TargetPhase.WAITING}, True),
        (((0, VerdictWord.HOLD),), {1: TargetPhase.WAITING}, False),
        (((1, VerdictWord.HOLD),), {0: TargetPhase.WAITING}, True),
        (((0, VerdictWord.HOLD), (0, VerdictWord.PROCEED)), {}, False),
    ],
)
def test_a_gate_is_passed_by_hand_only_while_one_holds(
    verdicts: Any, phases: dict[int, TargetPhase], offered: bool
) -> None:
    looks = [
        Decision("c", wave, look, NOW, "gate", verdict, "", {}, "", {}, "")
        for look, (wave, verdict) in enumerate(verdicts)
    ]
    tallies = [
        WaveTally(wave, "", 2, {TargetPhase.DONE: 1, phases.get(wave, TargetPhase.PENDING): 1})
        for wave in (0, 1)
    ]
    assert gate_holds(looks, tallies) is offered


async def test_an_act_without_a_reason_is_explained_and_not_done() -> None:
    house = showcase()
    async with browser(house, Role.ADMIN) as client:
        answer = await press(client, RUNNING, "abort", reason="  ")

    assert answer.status_code == 422
    assert "A reason is needed." in answer.text
    assert not house.orchestrator.asked


@pytest.mark.parametrize(("role", "offered"), [(Role.OPERATOR, False), (Role.RELEASE_MANAGER, True)])
async def test_only_who_may_roll_back_is_offered_to(role: Role, offered: bool) -> None:
    house = showcase()
    async with browser(house, role) as client:
        shown = (await client.get(RUNNING)).text
        answer = await press(client, RUNNING, "abort", reason="Sessions fail.", rollback="yes")

    assert f'action="{RUNNING}/abort"' in shown
    assert ('name="rollback"' in shown) is offered
    assert answer.status_code == (303 if offered else 403)


async def test_who_wrote_a_plan_is_told_that_another_approves_it() -> None:
    house = showcase()
    async with house.client() as client:
        await client.post("/login", data={"token": house.token(Principal("rita", Role.RELEASE_MANAGER))})
        shown = (await client.get(WAITING)).text

    assert "You wrote this plan" in shown
    assert f'action="{WAITING}/approve"' not in shown


async def test_who_approved_is_told_that_another_must() -> None:
    house = showcase()
    digest = house.campaigns.all["night-rollout"].plan_digest
    campaign = house.campaigns.all["night-rollout"]
    async with browser(house, Role.ADMIN) as client:
        await press(client, WAITING, "approve", plan_digest=digest)
        approved = house.campaigns.all["night-rollout"]
        house.campaigns.all["night-rollout"] = replace(approved, phase=campaign.phase)
        shown = (await client.get(WAITING)).text

    assert "somebody else must, too" in shown
    assert f'action="{WAITING}/approve"' not in shown


PAGES = [
    "/",
    "/?site_id=opera",
    "/campaigns",
    RUNNING,
    f"{RUNNING}?wave=2",
    "/artifacts",
    "/chargers/CP-0000",
    "/incidents",
    "/incidents?closed=true",
    "/configurations",
]


async def test_every_page_is_whole_and_holds_nothing_that_the_policy_forbids() -> None:
    house = showcase()
    pages = [*PAGES, *(f"/artifacts/{artifact_id}" for artifact_id in house.artifacts.all)]
    async with browser(house, Role.VIEWER) as client:
        for path in pages:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|javascript:", answer.text), path
            assert not re.search(r'(src|href)="(https?:)?//(?!temporal\.test)', answer.text), path


@pytest.mark.requirement("F121", "R54")
async def test_the_campaign_page_says_what_holds_the_gate_and_why_each_charger_waits() -> None:
    house = showcase()
    async with browser(house, Role.VIEWER) as client:
        shown = (await client.get(RUNNING)).text

    for sentence in (
        "3 chargers have no outcome yet.",
        "2 of 10 attempts failed (at most 25 % may).",
        "Session tx-14 is open on EVSE 1.",
        "6 updated, 2 failed, 3 in progress, 2 waiting, 2 deferred",
        "Its configuration section was never read.",
        "http://temporal.test:8233/namespaces/default/workflows/campaign%2Fspring-release-1-1",
        "enter <code>http://ampwave.test/codec</code>, and turn on <b>Include cross-origin credentials</b>",
    ):
        assert sentence in shown


@pytest.mark.requirement("S66")
async def test_the_campaign_page_says_at_its_top_what_stops_it_and_how_that_ends() -> None:
    house = showcase()
    freeze = Closure(NOW, NOW + timedelta(hours=2), ClosureKind.FREEZE, "Market <day>.", closure_id="c1")
    house.upkeep.closed["c1"] = freeze
    await house.halts.pull(EVERYTHING, "ada", "Smoke.", NOW)
    async with browser(house, Role.VIEWER) as client:
        shown = (await client.get(RUNNING)).text
        over = (await client.get("/campaigns/summer-release-1-2")).text
        house.upkeep.closed.clear()
        house.halts.rows.clear()
        free = (await client.get(RUNNING)).text

    top = shown[: shown.index("What you can do") if "What you can do" in shown else shown.index("Waves")]
    for text in (
        "Nothing of it is sent now.",
        "everything is frozen until 2026-11-20 14:00Z: Market &lt;day&gt;.",
        "ampwave calendar open c1",
        "ampwave halt restore 1 --reason TEXT",
    ):
        assert text in top
    assert "Nothing of it is sent now." not in over + free, (
        "one is over, and nothing stops the other any more"
    )


async def test_a_chargers_page_shows_what_people_asked_of_it() -> None:
    house = showcase()
    async with browser(house, Role.VIEWER) as client:
        page = (await client.get("/chargers/CP-0000")).text
        other = (await client.get("/chargers/CP-0001")).text
    for text in (
        *("trigger", "it is on its way", "session 8f1c is open on EVSE 1", "security log"),
        *("CP-0000-security.log arrived", "47 KiB", "olga@example.org"),
    ):
        assert text in page
    assert "Commands and logs" not in other


async def test_what_people_and_chargers_say_stays_text() -> None:
    house = showcase()
    evil = "<script>alert(1)</script>"
    house.campaigns.all["night-rollout"] = replace(house.campaigns.all["night-rollout"], reason=evil)
    view = house.chargers.all["CP-0000"]
    house.chargers.all["CP-0000"] = replace(view, charger=replace(view.charger, serial_number=evil))
    text = house.token(Principal(evil, Role.VIEWER))
    async with house.client() as client:
        await client.post("/login", data={"token": text})
        pages = [(await client.get(path)).text for path in (WAITING, "/campaigns", "/chargers/CP-0000")]

    for page in pages:
        assert evil not in page
        assert "&lt;script&gt;" in page


async def test_what_is_not_there_is_a_page_too() -> None:
    async with browser(showcase(), Role.VIEWER) as client:
        paths = (
            "/campaigns/none",
            "/chargers/none",
            "/chargers?charger_id=none",
            "/campaigns/A%20B",
            "/artifacts/x",
        )
        for path in paths:
            answer = await client.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"].startswith("text/html")
        found = await client.get("/chargers?charger_id=CP-0007")

    assert found.headers["location"] == "/chargers/CP-0007"


async def test_the_chart_gets_its_numbers() -> None:
    async with browser(showcase(), Role.VIEWER) as client:
        series = (await client.get(f"{RUNNING}/progress.json")).json()

    assert series["updated"][-1] == 11
    assert series["failed"][-1] == 2
    assert series["at"] == sorted(series["at"])


async def test_the_live_stream_hints_and_ends_in_time() -> None:
    house = House(limits=ApiLimits(stream_seconds=0.0))
    async with browser(house, Role.VIEWER) as client:
        answer = await client.get("/live")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "data: changed" in answer.text


def test_a_link_into_temporal_only_where_there_is_one() -> None:
    assert temporal_link(None, "default", "c") is None
    assert temporal_link("http://t/", "prod", "c") == "http://t/namespaces/prod/workflows/campaign%2Fc"


async def test_styles_and_scripts_are_our_own() -> None:
    async with House().client() as client:
        shown = (await client.get("/login")).text + (await client.get("/docs")).text
        for path in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', shown)) | {
            "/static/live.js",
            "/static/icons.svg",
            "/static/vendor/htmx.min.js",
            "/static/vendor/uPlot.iife.min.js",
            "/static/vendor/uPlot.min.css",
        }:
            assert (await client.get(path)).status_code == 200, path
