"""``ampwave webhook``: what is said, asked and sent."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.requirement("X15")

HOOK = {
    "webhook_id": "ops",
    "url": "https://ops.example.com/hook",
    "kinds": [],
    "created_by": "ada",
    "created_at": "2026-11-20T12:00:00Z",
    "paused_by": None,
    "failures": 3,
    "retry_at": None,
    "last_error": "it answered 500",
    "waiting": 2,
    "held_up": 0,
    "old_secret_until": None,
}
DELIVERY = {
    "notice_id": 9,
    "kind": "halt.pulled",
    "subject": "halt/1",
    "at": "2026-11-20T12:00:00Z",
    "state": "given_up",
    "attempts": 8,
    "ended_at": None,
    "last_error": "it answered 422",
    "retry_at": None,
}


def test_the_secret_is_shown_with_what_to_do_with_it(run: Any, fake: Any) -> None:
    fake.on("POST", "/webhooks", (201, {**HOOK, "secret": "whsec_abc"}))
    done = run("webhook", "add", "ops", HOOK["url"], "--kind", "halt.pulled")
    assert done.exit_code == 0, done.stderr
    assert "Secret: whsec_abc" in done.stdout
    assert "shown this once" in done.stdout
    sent = json.loads(fake.last("POST", "/webhooks").body)
    assert sent == {"webhook_id": "ops", "url": HOOK["url"], "kinds": ["halt.pulled"]}


def test_how_one_fares_and_what_waits_is_shown(run: Any, fake: Any) -> None:
    fake.on("GET", "/webhooks/ops", (200, HOOK))
    fake.on("GET", "/webhooks/ops/deliveries", (200, {"items": [DELIVERY], "next_cursor": None}))
    done = run("webhook", "show", "ops")
    assert "failing, 3 times in a row" in done.stdout
    assert "halt/1" in done.stdout
    assert "given up" in done.stdout


def test_one_that_takes_all_but_what_is_about_a_campaign_is_not_called_failing(run: Any, fake: Any) -> None:
    fake.on("GET", "/webhooks/ops", (200, {**HOOK, "failures": 0, "last_error": "", "held_up": 1}))
    fake.on("GET", "/webhooks/ops/deliveries", (200, {"items": [], "next_cursor": None}))
    done = run("webhook", "show", "ops")
    assert "active, 1 held up" in done.stdout
    assert "1 subject; what is about others is sent" in done.stdout


def test_an_empty_list_says_how_to_begin(run: Any, fake: Any) -> None:
    fake.on("GET", "/webhooks", (200, {"items": [], "next_cursor": None}))
    assert "ampwave webhook add" in run("webhook", "list").stdout


def test_it_is_removed_after_a_yes_only(run: Any, fake: Any) -> None:
    assert run("webhook", "remove", "ops").exit_code == 2
    fake.on("DELETE", "/webhooks/ops", (200, {"count": 2}))
    assert "2 notices were still waiting" in run("webhook", "remove", "ops", "--yes").stdout
