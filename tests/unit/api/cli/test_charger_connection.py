"""How chargers connect, at the command line."""

from pathlib import Path
from typing import Any

import pytest

JOB = {
    "renewal_id": "abc123",
    "name": "security profile 2",
    "work": "raise_profile",
    "title": "Security profile upgrade",
    "labels": {"renewed": "upgraded", "failed": "failed"},
    "phase": "running",
    "reason": "it has begun",
    "created_by": "ada",
    "created_at": "2026-11-20T11:00:00Z",
    "finished_at": None,
    "chargers": 2,
    "waves": 2,
    "counts": {"open": 1, "renewed": 1},
}


@pytest.mark.requirement("F54", "S61")
def test_chargers_are_raised_by_name_or_by_query(run: Any, fake: Any, tmp_path: Path) -> None:
    fake.on("POST", "/connections/profiles", (202, JOB))
    root = tmp_path / "root.pem"
    root.write_text("PEM")
    shown = run("charger", "upgrade-profile", "CP-1", "CP-2", "--profile", "2", "--root", str(root))
    assert "security profile 2" in shown.stdout
    assert "Security profile upgrade" in shown.stdout
    assert "1 open, 1 upgraded" in shown.stdout
    assert "ampwave cert renewal abc123" in shown.stderr
    sent = fake.last("POST", "/connections/profiles").json
    assert (sent["charger_ids"], sent["profile"], sent["root"]) == (["CP-1", "CP-2"], 2, "PEM")
    run("charger", "upgrade-profile", "-q", "online", "--profile", "3", "--canary", "5")
    sent = fake.last("POST", "/connections/profiles").json
    assert (sent["query"], sent["canary"], "charger_ids" in sent) == ("online", 5, False)
    for wrong in ((), ("CP-1", "--query", "online")):
        refused = run("charger", "upgrade-profile", *wrong, "--profile", "2")
        assert refused.exit_code == 2
        assert "name them, or --query" in refused.stderr
    assert run("charger", "upgrade-profile", "CP-1", "--profile", "1").exit_code == 2
    missing = run("charger", "upgrade-profile", "CP-1", "--profile", "2", "--root", str(tmp_path / "no.pem"))
    assert missing.exit_code == 2


def test_networks_passwords_and_doors(run: Any, fake: Any) -> None:
    for path in ("/connections/networks", "/connections/passwords"):
        fake.on("POST", path, (202, JOB))
    run("charger", "change-network", "CP-1", "--endpoint", "depot", "--interface", "Wireless0", "--slot", "2")
    sent = fake.last("POST", "/connections/networks").json
    assert (sent["endpoint"], sent["interface"], sent["slot"]) == ("depot", "Wireless0", 2)
    assert "profile" not in sent
    run("charger", "rotate-passwords", "--query", "online")
    assert fake.last("POST", "/connections/passwords").json["query"] == "online"
    door = {"name": "depot", "ws": None, "wss": "wss://10.0.0.5/ocpp", "apn": "depot.iot", "vpn": ""}
    fake.page("/connections/endpoints", [door])
    assert "depot.iot" in run("charger", "endpoints").stdout
    fake.page("/connections/endpoints", [])
    assert "AMPWAVE_CSMS_ENDPOINTS_FILE" in run("charger", "endpoints").stdout
