"""What the online keys refuse, played by a publisher that was taken over (S64)."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile, Snapshot, Targets, Timestamp

from signing.directive import PAYLOAD_TYPE, directive_payload
from signing.errors import KeyUnavailable, TooHasty, VerificationFailed
from signing.guard import GuardedSigner, Head, KeyGuard, Limits
from signing.metadata import canonical
from signing.pace import Pace
from signing.roles import SNAPSHOT, TIMESTAMP

NOON = datetime.fromisoformat("2026-05-04T12:00:00+00:00")
KEY = CryptoSigner.generate_ed25519()
HEAD = Head(7, 9, {"targets": 2, "acme": 4}, frozenset({KEY.public_key.keyid}))
DAY = timedelta(days=1)


class Watch:
    """A clock to turn."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def key() -> CryptoSigner:
    return KEY


def guarded(
    watch: Watch, role: str, signer: CryptoSigner = KEY, limits: Limits | None = None
) -> GuardedSigner:
    guard = KeyGuard(watch, limits)
    guard.saw(HEAD)
    return guard.online(role, signer)


def snapshot(version: int = 8, life: timedelta = 7 * DAY, **roles: int) -> bytes:
    listed = {"targets": 2, "acme": 5} | roles
    meta = {f"{role}.json": MetaFile(number) for role, number in listed.items() if number}
    return canonical(Snapshot(version, expires=NOON + life, meta=meta))


def timestamp(version: int = 10, life: timedelta = DAY, listed: int = 8) -> bytes:
    return canonical(Timestamp(version, expires=NOON + life, snapshot_meta=MetaFile(listed)))


def signs(guarded: GuardedSigner, payload: bytes) -> bool:
    signature = guarded.sign(payload)
    guarded.public_key.verify_signature(signature, payload)
    return True


@pytest.mark.requirement("S64")
@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (snapshot(1008), "version 1008 of snapshot, after 7 comes only the next"),
        (snapshot(2**31), "comes only the next"),
        (snapshot(7), "comes only the next"),
        (snapshot(6), "comes only the next"),
        (snapshot(life=3650 * DAY), "holds for 7 days at most"),
        (snapshot(life=-DAY), "expires at"),
        (snapshot(acme=1004), "takes acme from 4 to 1004"),
        (snapshot(acme=3), "takes acme from 4 to 3"),
        (snapshot(targets=0), "drops targets"),
        (snapshot(bolt=7), "adds bolt at version 7"),
        (timestamp(), "no snapshot"),
        (canonical(Targets(3, expires=NOON + DAY)), "no snapshot"),
        (b"", "no snapshot"),
        (b"[" * 100_000, "no snapshot"),
        (b'{"_type":["snapshot"]}', "no snapshot"),
        (b'{"_type":"snapshot"}', "no snapshot"),
    ],
)
def test_the_snapshot_key_signs_the_next_snapshot_and_nothing_else(watch, key, payload, words) -> None:
    asked = guarded(watch, SNAPSHOT)
    with pytest.raises(VerificationFailed) as refused:
        asked.sign(payload)
    assert words in refused.value.message
    assert signs(asked, snapshot())
    assert signs(guarded(watch, SNAPSHOT), snapshot(bolt=1))


@pytest.mark.requirement("S64")
@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (timestamp(1009), "comes only the next"),
        (timestamp(9), "comes only the next"),
        (timestamp(life=3650 * DAY), "holds for 1 days at most"),
        (timestamp(listed=1000), "lists snapshot 1000, after 7"),
        (timestamp(listed=6), "lists snapshot 6, after 7"),
        (snapshot(), "no timestamp"),
    ],
)
def test_the_timestamp_key_signs_the_next_timestamp_and_nothing_else(watch, key, payload, words) -> None:
    asked = guarded(watch, TIMESTAMP)
    with pytest.raises(VerificationFailed) as refused:
        asked.sign(payload)
    assert words in refused.value.message
    assert signs(asked, timestamp())


@pytest.mark.requirement("S12", "S64")
@given(steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 14)), max_size=12))
def test_whatever_is_asked_at_whatever_head_versions_never_jump(steps: list[tuple[int, int]]) -> None:
    guard, signed = KeyGuard(lambda: NOON), 0
    for head, version in steps:
        payload = canonical(Snapshot(version, expires=NOON + DAY)) if version else b"{}"
        guard.saw(Head(head, head, {}, HEAD.keyids))
        try:
            guard.online(SNAPSHOT, KEY).sign(payload)
            done = True
        except VerificationFailed:
            done = False
        assert done == (head < version <= max(head, signed) + 1)
        signed = version if done else signed


@pytest.mark.requirement("S13", "S64")
def test_a_key_that_was_rotated_in_may_begin_lower_and_not_higher(watch) -> None:
    """The way back from a fast-forward; the old key, which a thief may have, never gets it."""
    guard, new = KeyGuard(watch), CryptoSigner.generate_ed25519()
    guard.saw(Head(2**31, 2**31, {}, HEAD.keyids))
    with pytest.raises(VerificationFailed):
        guard.online(SNAPSHOT, KEY).sign(canonical(Snapshot(8, expires=NOON + DAY)))
    with pytest.raises(VerificationFailed):
        guard.online(SNAPSHOT, new).sign(canonical(Snapshot(2**31 + 2, expires=NOON + DAY)))
    assert signs(guard.online(SNAPSHOT, new), canonical(Snapshot(8, expires=NOON + DAY)))


@pytest.mark.requirement("S64")
def test_a_repository_that_begins_begins_at_one(watch) -> None:
    guard = KeyGuard(watch)
    with pytest.raises(VerificationFailed):
        guard.online(SNAPSHOT, KEY).sign(snapshot(2, targets=1, acme=1))
    assert signs(guard.online(SNAPSHOT, KEY), snapshot(1, targets=1, acme=1))
    assert signs(guard.online(TIMESTAMP, KEY), timestamp(1, listed=1))
    assert signs(guard.online(SNAPSHOT, KEY), snapshot(2, targets=1, acme=2)), (
        "before it is seen in the bucket"
    )


def pae(body: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    return Envelope(body, kind, {}).pae()


@pytest.mark.requirement("S24", "S64")
async def test_the_directive_key_signs_plain_directives_only(bench) -> None:
    good = bench.directive(await bench.upload())
    (key,) = bench.signers("directive")
    asked = KeyGuard(bench.clock).directive(key)
    year = timedelta(days=365)
    refused = {
        "longer than 24 hours": pae(directive_payload(replace(good, not_after=good.not_after + year))),
        "window is over": pae(
            directive_payload(replace(good, not_before=good.not_before - DAY, not_after=bench.now))
        ),
        "24 hours ahead": pae(
            directive_payload(replace(good, not_before=bench.now + 2 * DAY, not_after=bench.now + 2.1 * DAY))
        ),
        "501 chargers": pae(directive_payload(replace(good, charger_ids=tuple(map(str, range(501)))))),
        "approvals of 0": pae(directive_payload(replace(good, approvals=()))),
        "canonical form": pae(json.dumps(json.loads(directive_payload(good)), indent=1).encode()),
        "holds no directive": pae(b'{"root": 1}'),
        "no directive": pae(directive_payload(good), "application/vnd.other+json"),
    }
    for words, payload in refused.items():
        with pytest.raises(VerificationFailed) as said:
            asked.sign(payload)
        assert words in said.value.message
    for payload in (
        snapshot(),
        timestamp(),
        directive_payload(good),
        pae(directive_payload(good)) + b"x",
        b"",
    ):
        with pytest.raises(VerificationFailed, match="no directive"):
            asked.sign(payload)
    assert signs(asked, pae(directive_payload(good)))


@pytest.mark.requirement("S64")
def test_a_flood_is_cut_off_and_flows_again_by_and_by(watch, key) -> None:
    asked = guarded(watch, TIMESTAMP, limits=Limits(metadata_per_minute=60))
    assert sum(signs(asked, timestamp()) for _ in range(60)) == 60
    for _ in range(940):
        with pytest.raises(TooHasty, match="timestamp key signs at most 60 times a minute") as refused:
            asked.sign(timestamp())
        assert refused.value.retryable
    watch.now += timedelta(seconds=3)
    for expected in (True, True, True, False):
        if expected:
            assert signs(asked, timestamp())
        else:
            with pytest.raises(TooHasty):
                asked.sign(timestamp())


def test_a_refused_request_costs_nothing_of_the_pace(watch, key) -> None:
    """Else nonsense alone could keep good releases out."""
    asked = guarded(watch, TIMESTAMP, limits=Limits(metadata_per_minute=1))
    for _ in range(100):
        with pytest.raises(VerificationFailed):
            asked.sign(timestamp(1009))
    assert signs(asked, timestamp())


def test_a_clock_that_goes_back_fills_nothing(watch) -> None:
    pace = Pace(1, watch)
    pace.take("It is done")
    watch.now -= timedelta(days=1)
    with pytest.raises(TooHasty):
        pace.take("It is done")
    watch.now += timedelta(seconds=60)
    pace.take("It is done")


@pytest.mark.requirement("S64")
def test_a_key_that_is_not_the_listed_one_publishes_nothing(watch, key) -> None:
    """An address that points to another key would leave readers with metadata that does not verify."""

    class Swapped(CryptoSigner):
        @property
        def public_key(self):
            return key.public_key

    other = CryptoSigner.generate_ed25519()
    swapped = Swapped(other._private_key, other.public_key)
    with pytest.raises(KeyUnavailable, match="another key than the signed metadata lists"):
        guarded(watch, TIMESTAMP, swapped).sign(timestamp())


@pytest.mark.requirement("S63")
def test_a_key_that_fails_says_so_and_is_retried(watch, key) -> None:
    class Broken(CryptoSigner):
        def sign(self, payload):
            raise RuntimeError("slot 3, session 7, pin 8642")

    broken = Broken(key._private_key, key.public_key)
    with pytest.raises(KeyUnavailable) as refused:
        guarded(watch, TIMESTAMP, broken).sign(timestamp())
    assert refused.value.retryable
    assert "8642" not in refused.value.diagnostics()


@pytest.mark.requirement("S64")
async def test_a_publisher_with_a_clock_of_its_own_gets_no_ten_years(bench) -> None:
    """The repository's code asks for whatever its caller's clock says; the guard has its own."""
    service = bench.service()
    head = await service._head()
    bench.pass_time(days=6)
    service._clock = lambda: bench.now + timedelta(days=3650)
    before = dict(bench.blobs.objects)
    with pytest.raises(VerificationFailed, match="holds for 7 days at most"):
        await service._extend(head, [])
    assert bench.blobs.objects == before
