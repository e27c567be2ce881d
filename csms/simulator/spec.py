"""A fleet as a file: which chargers, where, of what kind, at what pace. Parsed at this door only."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from pydantic import TypeAdapter, ValidationError

from csms.simulator.catalogue import EVERYBODY, PERSONALITIES
from csms.simulator.faults import NetworkFault
from csms.simulator.pace import STRICT, SessionPattern, SimPace
from csms.simulator.personality import Personality
from storage.errors import AmpwaveError, InvalidInput
from storage.ids import check_charger_id, check_slug

STARTING_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class ChargerSpec:
    """One simulated charger. ``password`` is a throw-away of the simulation, 40 hex digits by default."""

    __pydantic_config__ = STRICT

    charger_id: str
    site_id: str
    serial: str
    password: str = field(repr=False)
    personality: str
    version: str = STARTING_VERSION
    certificate: str | None = None
    """Its own certificate with what is between it and the root, PEM: it comes with security profile 3."""
    key: str | None = field(default=None, repr=False)
    """The private key of that, PEM; a throw-away of the simulation."""

    @property
    def held(self) -> tuple[str, str | None, str | None]:
        """Serial number, certificate and key."""
        return self.serial, self.certificate, self.key

    def profiles(self, csms_url: str, secure_url: str | None = None) -> tuple[int, int]:
        """The security profile that it left the factory with, and the highest that it can have there."""
        if not csms_url.startswith("wss:"):
            return 1, 3 if secure_url else 1
        return (3 if self.certificate else 2), 3

    @property
    def character(self) -> Personality:
        """The personality by its name."""
        return EVERYBODY[self.personality]


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """All that ``ampwave simulate`` needs besides the server's address."""

    __pydantic_config__ = STRICT

    name: str
    seed: int
    chargers: tuple[ChargerSpec, ...]
    manufacturer_roots: tuple[str, ...] = ()
    """PEM certificates that firmware signing certificates must chain to; none: no signed update is taken."""
    csms_roots: tuple[str, ...] = ()
    """PEM roots that the chargers know the server by, over ``wss``."""
    secure_url: str | None = None
    """Where chargers go that are raised to security profile 2 or 3, if they began without TLS."""
    pace: SimPace = field(default_factory=SimPace)
    sessions: SessionPattern = field(default_factory=SessionPattern)
    faults: tuple[NetworkFault, ...] = ()
    connect_per_s: float = 50.0
    """How many chargers are switched on per second, so that a fleet does not stampede."""
    max_image_bytes: int = 64 * 1024 * 1024

    def sites(self) -> dict[str, tuple[ChargerSpec, ...]]:
        """Chargers by site."""
        found: dict[str, list[ChargerSpec]] = {}
        for charger in self.chargers:
            found.setdefault(charger.site_id, []).append(charger)
        return {site: tuple(chargers) for site, chargers in found.items()}


def default_fleet(chargers: int = 60, sites: int = 12, seed: int = 7) -> FleetSpec:
    """A mixed fleet: every site has its share of every personality. The same seed makes the same fleet."""
    return FleetSpec(
        name=f"fleet-{chargers}",
        seed=seed,
        chargers=tuple(_charger(number, sites, seed) for number in range(chargers)),
    )


def _charger(number: int, sites: int, seed: int) -> ChargerSpec:
    place, site = divmod(number, sites)
    names = tuple(PERSONALITIES)
    personality = PERSONALITIES[names[(site + place) % len(names)]]
    secret = hashlib.sha256(f"{seed}/{number}/password".encode()).hexdigest()[:40]
    return ChargerSpec(
        charger_id=f"SIM-{number + 1:04d}",
        site_id=f"site-{site + 1:02d}",
        serial=f"{personality.name[:3].upper()}{seed:04d}{number + 1:06d}",
        password=secret,
        personality=personality.name,
    )


_FLEET = TypeAdapter(FleetSpec)


def parse_fleet(value: Any) -> FleetSpec:
    """Check a fleet as read from a file; raise InvalidInput with every problem at once."""
    try:
        fleet = _FLEET.validate_python(value)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in found['loc']) or 'fleet'}: {found['msg']}"
            for found in error.errors()
        ]
        raise InvalidInput("The fleet file is not a fleet.", problems, hint=_HINT) from None
    return check_fleet(fleet)


def check_fleet(fleet: FleetSpec) -> FleetSpec:
    """The same fleet if it can run; else raise InvalidInput with every problem at once."""
    problems = _problems(fleet)
    if problems:
        raise InvalidInput(f"The fleet {fleet.name!r} cannot run.", problems, hint=_HINT)
    return fleet


_HINT = "See csms/simulator/README.md for the format."


def _problems(fleet: FleetSpec) -> list[str]:
    problems = [] if fleet.chargers else ["chargers: there are none"]
    seen = Counter(charger.charger_id for charger in fleet.chargers)
    problems += [f"chargers: {name!r} is there {count} times" for name, count in seen.items() if count > 1]
    for charger in fleet.chargers:
        problems += _charger_problems(charger)
    for name in ("manufacturer_roots", "csms_roots"):
        problems += _pem_problems(name, getattr(fleet, name))
    for number, fault in enumerate(fleet.faults):
        problems += [f"faults.{number}.{problem}" for problem in fault.problems()]
    if fleet.secure_url is not None and not fleet.secure_url.startswith("wss://"):
        problems.append("secure_url: must begin with wss://")
    if fleet.connect_per_s <= 0:
        problems.append("connect_per_s: must be above 0")
    if len(fleet.sessions.daily) not in (0, 24):
        problems.append("sessions.daily: needs 24 weights, one per hour, or none")
    for name in ("session_s", "install_s", "reboot_s", "backoff_s"):
        least, most = getattr(fleet.pace, name)
        if not 0 <= least <= most:
            problems.append(f"pace.{name}: {least:g} to {most:g} is no span")
    return problems


def _pem_problems(name: str, roots: tuple[str, ...]) -> list[str]:
    problems = []
    for number, pem in enumerate(roots):
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            problems.append(f"{name}.{number}: not a PEM certificate")
    return problems


def _charger_problems(charger: ChargerSpec) -> list[str]:
    problems = []
    try:
        check_charger_id(charger.charger_id)
        check_slug("site id", charger.site_id)
    except AmpwaveError as error:
        problems.append(f"chargers: {error.diagnostics()}")
    if charger.personality not in EVERYBODY:
        known = ", ".join(EVERYBODY)
        problems.append(f"{charger.charger_id}: no personality {charger.personality!r}; there are {known}")
    if (charger.certificate is None) != (charger.key is None):
        problems.append(f"{charger.charger_id}: certificate and key belong together")
    if not charger.password:
        problems.append(f"{charger.charger_id}: the password is empty")
    return problems


def load_fleet(path: Path) -> FleetSpec:
    """Read a fleet from a YAML or JSON file. Raises InvalidInput."""
    try:
        # JSON is YAML, but its own parser is far faster on large fleets.
        text = path.read_text("utf-8")
        value = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, json.JSONDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as a fleet: {error}", hint=_HINT) from error
    return parse_fleet(value)


def save_fleet(fleet: FleetSpec, path: Path) -> None:
    """Write a fleet; JSON if the name ends so, else YAML. The file holds passwords: owner only."""
    value = json.loads(json.dumps(asdict(fleet)))
    text = json.dumps(value, indent=1) if path.suffix == ".json" else yaml.safe_dump(value, sort_keys=False)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
