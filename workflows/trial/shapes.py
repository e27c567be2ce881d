"""What a simulated fleet is like, what a bad release does to it, and how a campaign goes through it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Model:
    """One model in a fleet."""

    name: str
    """``vendor/model``."""
    share: float
    worse: float = 1.0
    """How often its sessions fail, relative to the fleet."""
    revisions: tuple[str, ...] = ("",)
    """Hardware revisions, equally many of each."""


_MODELS = (
    Model("Acme/AC22", 0.5, 0.9, ("A", "B")),
    Model("Acme/DC150", 0.3, 1.3),
    Model("Borealis/One", 0.2, 0.8),
)


@dataclass(frozen=True, slots=True)
class FleetShape:
    """A fleet as statistics see it. Rates are per charger and day unless they say otherwise."""

    chargers: int = 600
    sites: int = 60
    models: tuple[Model, ...] = _MODELS
    sessions: float = 4.0
    session_failures: float = 0.06
    """Share of sessions without energy."""
    alike: float = 0.10
    """How alike the sessions of one charger are (intraclass correlation); 0: chargers do not differ."""
    site_spread: float = 0.3
    """Sites differ in failures by about so much of the mean."""
    day_spread: float = 0.2
    """And so do days, for everybody at once."""
    abnormal_stops: float = 0.04
    """Share of stops."""
    offline_spells: float = 0.05
    faults: float = 0.01
    site_outages: float = 1 / 60
    """Per site: power or router away for hours."""
    backend_outages: float = 1 / 20
    """Of everybody: for hours most sessions fail and nobody is heard."""
    install_failures: float = 0.01
    """Share of attempts that fail whatever the release."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What a release does to chargers that run it."""

    name: str
    sessions: float = 0.0
    """So much more of the sessions fail, from 0 to 1."""
    offline: float = 0.0
    """So much more of the hours nothing is heard."""
    faults: float = 0.0
    """More faults per charger and day."""
    boot_loops: float = 0.0
    """More boot loops per charger and day; each restarts five times and fails the sessions of its hour."""
    installs: float = 0.0
    """So much more of the attempts fail."""
    model: str = ""
    """Only on this model."""
    after_hours: bool = False
    """Only from 20:00 to 6:00."""

    @property
    def harmless(self) -> bool:
        """Whether a stop of it is a false one."""
        return not any((self.sessions, self.offline, self.faults, self.boot_loops, self.installs))


NO_HARM = Harm("none")
HARMS: dict[str, Harm] = {
    harm.name: harm
    for harm in (
        Harm("sessions", sessions=0.05),
        Harm("sessions-10", sessions=0.10),
        Harm("one-model", sessions=0.15, model="Acme/DC150"),
        Harm("after-hours", sessions=0.20, after_hours=True),
        Harm("offline", offline=0.05),
        Harm("faults", faults=0.10),
        Harm("boot-loops", boot_loops=0.03),
        Harm("installs", installs=0.20),
    )
}
"""By name; the first is what a gate is dimensioned for."""


@dataclass(frozen=True, slots=True)
class PlanShape:
    """Waves, and how long each takes."""

    shares: tuple[float, ...] = (0.05, 0.15, 0.30, 0.50)
    rollout_hours: int = 8
    """From the first to the last charger of a wave: each is updated when no car is there."""
    max_days: int = 45
    """A campaign that has come to no end by then is given up."""
    seed: int = field(default=0, kw_only=True)
    """Of the draw."""
