from typing import Any

ONE = {
    "sequence": 9,
    "charger_id": "CP-1",
    "state": "refused",
    "reasons": ["its key is RSA 1024; 2048 to 8192 bits are taken", "it asks to be an authority (CA:TRUE)"],
    "next_step": "Have it make a P-256 key.",
    "use": None,
    "received_at": "2026-11-20T11:00:00Z",
    "answered_at": "2026-11-20T11:00:01Z",
}
WAITS = {**ONE, "sequence": 8, "charger_id": "CP-2", "state": "open", "reasons": [], "next_step": ""}
HERE = "/certificates/requests"


def test_each_request_says_why_and_what_next(run: Any, fake: Any) -> None:
    fake.on("GET", HERE, (200, {"items": [ONE, WAITS], "next_cursor": None}))
    shown = run("cert", "requests").stdout
    assert "CP-1  refused" in shown
    for line in (*ONE["reasons"], "Next: Have it make a P-256 key."):
        assert f"  {line}" in shown
    assert "answered once the charger is connected and free" in shown
    asked = {name: values[0] for name, values in fake.last("GET", HERE).query.items()}
    assert (asked["state"], asked["newest"]) == ("refused,open", "true")


def test_nothing_is_said_so_and_everything_can_be_asked_for(run: Any, fake: Any) -> None:
    fake.on("GET", HERE, (200, {"items": [], "next_cursor": None}))
    assert "No signing request waits or was refused." in run("cert", "requests").stdout
    run("cert", "requests", "--all", "--state", "issued", "--charger", "CP-1", "--within", "5")
    asked = {name: values[0] for name, values in fake.last("GET", HERE).query.items()}
    assert (asked["state"], asked["newest"], asked["charger_id"]) == ("issued", "false", "CP-1")


def test_lists_have_their_addresses(run: Any, fake: Any) -> None:
    one = {
        "issuer": "ab" * 32,
        "former": True,
        "number": 5,
        "this_update": "2026-11-20T11:00:00Z",
        "next_update": "2026-11-27T11:00:00Z",
        "path": f"/pki/{'ab' * 32}.crl",
    }
    fake.on("GET", "/certificates/lists", (200, {"items": [one], "next_cursor": None}))
    shown = run("cert", "lists").stdout
    assert "no more" in shown
    assert "/pki/abab" in shown.replace("\n", "")
