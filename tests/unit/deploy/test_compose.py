"""What the image and the services must keep to, beyond being well formed."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.embedded.temporal import SEARCH_ATTRIBUTES
from api.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("ampwave:")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_role_has_a_service() -> None:
    assert {"api", "csms", "worker", "signer", "relay", "migrate", "prepare"} == OURS


def test_only_the_signer_reaches_keys() -> None:
    with_keys = {
        name
        for name in OURS
        if any(volume.startswith("keys:") for volume in SERVICES[name].get("volumes", []))
    }
    assert with_keys == {"signer", "prepare"}
    assert "keys:/keys:ro" in SERVICES["signer"]["volumes"]
    assert SERVICES["prepare"]["profiles"] == ["trial"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_services_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_images_are_named_by_exact_version() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images = [service["image"] for service in SERVICES.values()] + bases
    assert [image for image in images if not re.search(r":[\w.-]*\d+\.\d+", image)] == []


def test_the_engines_speak_on_an_inner_network_only() -> None:
    assert COMPOSE["networks"]["engines"]["internal"] is True
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert outside == {"api", "csms", "temporal-ui"}
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_stands_in_an_environment() -> None:
    for service in SERVICES.values():
        environment = service.get("environment", {})
        secret = {key for key in environment if re.search(r"PASSWORD|PWD|SECRET|TOKEN|_KEY$", key)}
        assert {key for key in secret if not key.endswith("_FILE")} == set()


def test_every_setting_named_here_exists() -> None:
    known = {f"AMPWAVE_{name.upper()}" for name in Settings.model_fields}
    named = {
        key for name in OURS for key in SERVICES[name].get("environment", {}) if key.startswith("AMPWAVE_")
    }
    assert {key for key in named if key not in known and key.removesuffix("_FILE") not in known} == set()


def test_secrets_that_are_mounted_are_made(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DEPLOY / "make-secrets.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} == set(made)
    assert made["postgres_password"] in made["database_url"]
    assert len(made["postgres_password"]) == 40
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert made == {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}


def test_the_namespace_gets_our_search_attributes() -> None:
    script = " ".join(SERVICES["temporal-namespace"]["command"])
    assert set(re.findall(r"Ota[A-Z]\w+", script)) == set(SEARCH_ATTRIBUTES)


def test_the_image_holds_all_packages_and_no_engine() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    assert copied == set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    locked = (ROOT / "requirements" / "runtime.txt").read_text()
    engines = [line.partition("==")[0] for line in PROJECT["dependency-groups"]["engines"]]
    assert [name for name in engines if re.search(rf"^{name}==", locked, re.MULTILINE)] == []


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "build.txt", "uv.txt"])
def test_every_locked_package_has_a_version_and_a_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert entries
    assert [entry for entry in entries if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "file:" not in text
    assert " @ " not in text
