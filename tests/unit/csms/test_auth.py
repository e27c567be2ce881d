import base64
from dataclasses import dataclass, field
from itertools import product

import pytest

from csms.auth import (
    Admitted,
    Attempt,
    Authenticator,
    Refused,
    basic_password,
)
from csms.limits import FailureLimit, RecentKeys
from csms.pki.certificates import Presented
from csms.secrets import hash_secret, secret_matches
from storage.charger import Charger, ChargerCredential
from storage.errors import NotFound
from storage.ports import ChargerView
from storage.twin import Lifecycle, TwinState

PEPPER = b"p" * 32


def header(user: str, password: str | bytes) -> str:
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()


@dataclass
class Register:
    """Chargers and credentials as the store answers for them."""

    chargers: dict[str, Lifecycle] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    floors: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def get(self, charger_id: str) -> ChargerView:
        self.asked.append(charger_id)
        if charger_id not in self.chargers:
            raise NotFound("charger", charger_id)
        floor = self.floors.get(charger_id, 0)
        charger = Charger(charger_id, "site", "V", "M", self.chargers[charger_id], security_floor=floor)
        return ChargerView(charger, TwinState(charger_id))

    async def credential(self, charger_id: str) -> ChargerCredential | None:
        self.asked.append(charger_id)
        secret = self.secrets.get(charger_id)
        return None if secret is None else ChargerCredential(charger_id, secret, None)  # type: ignore[arg-type]


@dataclass
class Stopwatch:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def register() -> Register:
    return Register({"CP:1": Lifecycle.ACTIVE}, {"CP:1": hash_secret(PEPPER, "right-password-16")})


def attempt(authorization: str | None, charger_id: str = "CP:1", **more: object) -> Attempt:
    values: dict[str, object] = {"address": "10.0.0.1", "is_1_6": False, "tls": False, **more}
    return Attempt(charger_id, authorization=authorization, **values)  # type: ignore[arg-type]


async def judge(register: Register, one: Attempt, **options: bool) -> Admitted | Refused:
    return await Authenticator(register, PEPPER, Stopwatch(), **options).admit(one)  # type: ignore[arg-type]


@pytest.mark.requirement("F36")
async def test_the_right_password_is_admitted_with_its_profile(register: Register) -> None:
    plain = await judge(register, attempt(header("CP:1", "right-password-16")))
    secured = await judge(register, attempt(header("CP:1", "right-password-16"), tls=True))
    assert isinstance(plain, Admitted)
    assert isinstance(secured, Admitted)
    assert (plain.security_profile, secured.security_profile) == (1, 2)


@pytest.mark.requirement("F39")
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic ???",
        "Bearer abc",
        header("CP:1", "wrong"),
        header("CP:2", "right-password-16"),
        header("CP:1", ""),
        "Basic " + base64.b64encode(b"right-password-16").decode(),
    ],
)
async def test_anything_else_is_401(register: Register, authorization: str | None) -> None:
    verdict = await judge(register, attempt(authorization))
    assert isinstance(verdict, Refused)
    assert (verdict.status, verdict.registered) == (401, True)


@pytest.mark.requirement("F35")
async def test_an_unknown_identity_is_404_and_costs_the_same_look_ups(register: Register) -> None:
    verdict = await judge(register, attempt(header("CP-9", "x"), "CP-9"))
    assert verdict == Refused(404, "no charger is registered under this identity", registered=False)
    assert register.asked == ["CP-9", "CP-9"]


@pytest.mark.parametrize("lifecycle", [Lifecycle.RETIRED, Lifecycle.QUARANTINED])
async def test_retired_and_quarantined_chargers_are_not_welcome(
    register: Register, lifecycle: Lifecycle
) -> None:
    register.chargers["CP:1"] = lifecycle
    right = await judge(register, attempt(header("CP:1", "right-password-16")))
    wrong = await judge(register, attempt(header("CP:1", "guess")))
    assert isinstance(right, Refused)
    assert isinstance(wrong, Refused)
    assert (right.status, wrong.status) == (403, 401), "only who proves it is told"


async def test_without_a_registered_password_only_the_unsafe_setting_lets_in(register: Register) -> None:
    del register.secrets["CP:1"]
    refused = await judge(register, attempt(None))
    admitted = await judge(register, attempt(None), unsafe_profile_0=True)
    assert isinstance(refused, Refused)
    assert isinstance(admitted, Admitted)
    assert admitted.security_profile == 0


async def test_the_unsafe_setting_does_not_open_a_charger_that_has_a_password(register: Register) -> None:
    verdict = await judge(register, attempt(None), unsafe_profile_0=True)
    assert isinstance(verdict, Refused)


@pytest.mark.parametrize(
    "registered", ["30313233343536373839616263646566", "deadBEEF00112233445566778899aabb"]
)
def test_a_1_6_key_is_taken_as_digits_and_as_bytes(registered: str) -> None:
    stored = hash_secret(PEPPER, registered.lower())
    for offered in (registered.lower().encode(), registered.upper().encode(), bytes.fromhex(registered)):
        assert secret_matches(PEPPER, stored, offered, hex_forms=True)
    assert not secret_matches(PEPPER, stored, bytes.fromhex(registered), hex_forms=False)
    text = hash_secret(PEPPER, bytes.fromhex(registered))
    assert secret_matches(PEPPER, text, registered.encode(), hex_forms=True)
    assert not secret_matches(PEPPER, stored, b"other", hex_forms=True)


def test_the_password_may_be_bytes_and_hold_colons() -> None:
    assert basic_password(header("CP:1", b"\xff:\x00"), "CP:1") == b"\xff:\x00"
    assert basic_password(header("CP", "1:x"), "CP:1") == b"x", "as the identity is taken off whole"


@pytest.mark.requirement("F39")
async def test_failures_lock_the_guesser_out_and_not_the_charger(register: Register) -> None:
    watch = Stopwatch()
    door = Authenticator(register, PEPPER, watch)  # type: ignore[arg-type]
    for _ in range(10):
        await door.admit(attempt(header("CP:1", "guess"), address="6.6.6.6"))
    locked = await door.admit(attempt(header("CP:1", "right-password-16"), address="6.6.6.6"))
    elsewhere = await door.admit(attempt(header("CP:1", "right-password-16")))
    assert isinstance(locked, Refused)
    assert (locked.status, locked.registered) == (429, False)
    assert isinstance(elsewhere, Admitted)
    watch.now = 61
    assert isinstance(
        await door.admit(attempt(header("CP:1", "right-password-16"), address="6.6.6.6")), Admitted
    )


@pytest.mark.requirement("F39")
async def test_a_guesser_behind_the_same_address_locks_out_nobody_who_came_from_there(
    register: Register,
) -> None:
    """A balancer, or a site's router, is one address for a whole fleet."""
    register.chargers["CP:2"] = Lifecycle.ACTIVE
    register.secrets["CP:2"] = hash_secret(PEPPER, "another-password-16")
    door = Authenticator(register, PEPPER, Stopwatch())  # type: ignore[arg-type]
    right = attempt(header("CP:1", "right-password-16"))
    assert isinstance(await door.admit(right), Admitted)
    for number in range(300):
        await door.admit(attempt(header(f"CP-{number}", "guess"), f"CP-{number}"))
    assert isinstance(await door.admit(right), Admitted)
    newcomer = await door.admit(attempt(header("CP:2", "another-password-16"), "CP:2"))
    assert isinstance(newcomer, Refused)
    assert newcomer.status == 429, "who never came from there waits"
    for _ in range(10):
        await door.admit(attempt(header("CP:1", "guess")))
    guessing = await door.admit(right)
    assert isinstance(guessing, Refused)
    assert guessing.status == 429, "guessing at one charger is still held"


def test_recent_keys_are_bounded() -> None:
    recent = RecentKeys(max_keys=2)
    for key in ("a", "b", "a", "c"):
        recent.add(key)
    assert [key in recent for key in ("a", "b", "c")] == [True, False, True]


def test_the_count_of_failures_is_bounded() -> None:
    limit = FailureLimit(1, 60, Stopwatch(), max_keys=2)
    for key in ("a", "b", "c"):
        limit.failed(key)
    assert [limit.exceeded(key) for key in ("a", "b", "c")] == [False, True, True]


@pytest.mark.requirement("F37")
async def test_who_shows_a_certificate_is_judged_by_it_alone(register: Register) -> None:
    shown = Presented(b"no certificate")
    right = header("CP:1", "right-password-16")
    verdict = await judge(register, attempt(right, tls=True, certificate=shown))
    assert verdict == Refused(401, "client certificates are not accepted here", registered=True)
    stranger = await judge(register, attempt(None, "CP-9", tls=True, certificate=shown))
    assert isinstance(stranger, Refused)
    assert stranger.status == 404


@pytest.mark.requirement("S61")
@pytest.mark.parametrize(("floor", "tls"), list(product(range(4), (False, True))))
async def test_below_its_floor_a_charger_is_told_only_when_it_proved_itself(
    register: Register, floor: int, tls: bool
) -> None:
    register.floors["CP:1"] = floor
    right = await judge(register, attempt(header("CP:1", "right-password-16"), tls=tls))
    wrong = await judge(register, attempt(header("CP:1", "guess"), tls=tls))
    assert isinstance(right, Admitted) == (floor <= (2 if tls else 1))
    assert isinstance(wrong, Refused)
    assert wrong.status == 401
