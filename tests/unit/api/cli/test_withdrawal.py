"""``ampwave withdrawal``: what is said, asked and sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli.lazy import TABLE

STANDING = {
    "subject": "artifact:" + "a" * 64,
    "reason": "it bricks chargers",
    "source": "person",
    "withdrawn_by": "ada",
    "withdrawn_at": "2026-11-20T12:00:00Z",
    "restored_by": [],
    "in_force": True,
    "votes_to_restore": 2,
}


@pytest.mark.requirement("S66")
def test_a_certificate_file_is_sent_whole_and_the_way_back_is_told(run: Any, fake: Any, home: Path) -> None:
    (home / "leaf.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    fake.on("POST", "/withdrawals", (200, STANDING))
    done = run("withdrawal", "certificate", "leaf.pem", "--reason", "stolen", "--yes")
    assert done.exit_code == 0, done.stderr
    assert "Two people give it back: ampwave withdrawal restore artifact:aaaa" in done.stdout
    assert json.loads(fake.last("POST", "/withdrawals").body) == {
        "certificate": "-----BEGIN CERTIFICATE-----\n",
        "reason": "stolen",
    }


def test_nothing_is_withdrawn_without_a_yes(run: Any, fake: Any, home: Path) -> None:
    (home / "leaf.pem").write_text("x")
    refused = run("withdrawal", "certificate", "leaf.pem", "--reason", "stolen")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert fake.seen == []


@pytest.mark.requirement("S36")
def test_a_list_in_der_is_sent_as_base64(run: Any, fake: Any, home: Path) -> None:
    (home / "list.crl").write_bytes(b"\x30\x82\x00\xff")
    fake.on("POST", "/withdrawals/lists", (200, {"listed": 3, "withdrawn": 1}))
    done = run("withdrawal", "crl", "list.crl")
    assert done.stdout == "The list names 3 certificates; 1 of them are withdrawn anew.\n"
    assert json.loads(fake.last("POST", "/withdrawals/lists").body) == {"crl": "MIIA/w=="}
    assert run("withdrawal", "crl", "nowhere.crl").exit_code == 2


@pytest.mark.requirement("S66")
def test_who_wants_it_back_is_shown(run: Any, fake: Any) -> None:
    half = {**STANDING, "restored_by": ["ada"]}
    fake.on("GET", "/withdrawals", (200, {"items": [half], "next_cursor": None}))
    assert "withdrawn (1 of 2 want it back)" in run("withdrawal", "list").stdout
    assert json.loads(run("withdrawal", "list", "--json").stdout) == [half]
    fake.on(
        "POST", "/withdrawals/restorations", (200, {**half, "restored_by": ["ada", "bo"], "in_force": False})
    )
    assert run("withdrawal", "restore", STANDING["subject"], "-y").stdout == "It is back; ada, bo said yes.\n"


def test_it_is_in_the_table() -> None:
    assert TABLE["withdrawal"].section == "Releases"
