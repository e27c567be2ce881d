import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from signing.directive import (
    check_directive,
    check_progress,
    check_release,
    directive_payload,
    open_envelope,
    parse_directive,
    shape_problems,
    sign_envelope,
)
from signing.errors import DirectiveNotInTime, DirectiveRefused, DowngradeRefused, UnknownDirectiveKey
from signing.release import release_of
from storage.campaign import Approval, Directive, SignedDirective
from storage.canonical import canonical_json

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SIGNER = CryptoSigner.generate_ed25519()
KEYS = {SIGNER.public_key.keyid: SIGNER.public_key}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.integers(-(10**9), 10**9).map(lambda ms: NOON + timedelta(milliseconds=ms))
directives = st.builds(
    Directive,
    directive_id=text,
    campaign_id=text,
    wave=st.integers(0, 2000),
    plan_digest=text,
    charger_ids=st.lists(text, max_size=5).map(tuple),
    target_path=text,
    sha256=text,
    length=st.integers(0, 2**40),
    version=text,
    release_counter=st.integers(0, 2**40),
    compatible=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    not_before=instants,
    not_after=instants,
    nonce=text,
    approvals=st.lists(st.builds(Approval, text, instants, text, text), max_size=3).map(tuple),
    downgrade=st.booleans(),
    reason=text,
)


def stored(directive: Directive, envelope: bytes) -> SignedDirective:
    return SignedDirective(directive.directive_id, directive.campaign_id, directive.wave, 0, envelope)


@pytest.mark.requirement("S24")
@given(directives)
def test_a_directive_survives_its_envelope_unchanged(directive: Directive) -> None:
    opened, keyid = open_envelope(stored(directive, sign_envelope(directive, SIGNER)), KEYS)
    assert opened == directive
    assert keyid == SIGNER.public_key.keyid


@given(directives, st.data())
def test_a_payload_changed_in_any_byte_is_refused(directive: Directive, data: st.DataObject) -> None:
    envelope = json.loads(sign_envelope(directive, SIGNER))
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    envelope["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(DirectiveRefused):
        open_envelope(stored(directive, json.dumps(envelope).encode()), KEYS)


async def test_the_wrong_key_a_forged_key_id_and_another_type_are_refused(bench) -> None:
    directive = bench.directive(await bench.upload())
    thief = CryptoSigner.generate_ed25519()
    with pytest.raises(UnknownDirectiveKey):
        open_envelope(stored(directive, sign_envelope(directive, thief)), KEYS)
    forged = json.loads(sign_envelope(directive, thief))
    forged["signatures"][0]["keyid"] = SIGNER.public_key.keyid
    with pytest.raises(DirectiveRefused, match="does not hold"):
        open_envelope(stored(directive, json.dumps(forged).encode()), KEYS)
    other = json.loads(sign_envelope(directive, SIGNER)) | {"payloadType": "text/plain"}
    with pytest.raises(DirectiveRefused, match="text/plain"):
        open_envelope(stored(directive, json.dumps(other).encode()), KEYS)
    for rubbish in (b"", b"{}", b"[1]", b"{" * 1000, b"x" * 300_000):
        with pytest.raises(DirectiveRefused):
            open_envelope(stored(directive, rubbish), KEYS)


@pytest.mark.requirement("S24")
async def test_a_directive_stored_under_another_name_is_refused(bench) -> None:
    directive = bench.directive(await bench.upload())
    good = stored(directive, sign_envelope(directive, SIGNER))
    for changes in ({"directive_id": "d-2"}, {"campaign_id": "c-2"}, {"wave": 3}):
        with pytest.raises(DirectiveRefused, match="another name"):
            open_envelope(replace(good, **changes), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw | {"more": 1},
        lambda raw: {key: value for key, value in raw.items() if key != "nonce"},
        lambda raw: raw | {"wave": "0"},
        lambda raw: raw | {"wave": 0.0},
        lambda raw: raw | {"downgrade": 1},
        lambda raw: raw | {"charger_ids": "CP-1"},
        lambda raw: raw | {"charger_ids": [1]},
        lambda raw: raw | {"compatible": [["Acme"]]},
        lambda raw: raw | {"not_after": "2026-05-04T20:00:00"},
        lambda raw: raw | {"not_after": 12},
        lambda raw: raw | {"approvals": [{"actor": "sam"}]},
    ],
)
async def test_anything_but_a_directive_in_canonical_form_is_refused(bench, change) -> None:
    payload = directive_payload(bench.directive(await bench.upload()))
    assert parse_directive(orjson.dumps(json.loads(payload)))
    with pytest.raises(DirectiveRefused):
        parse_directive(orjson.dumps(change(json.loads(payload))))


@pytest.mark.requirement("S24", "S25", "S26")
@pytest.mark.parametrize(
    ("directive", "request_", "words"),
    [
        ({}, {"charger_id": "CP-9"}, "does not name CP-9"),
        ({}, {"now": NOON + timedelta(hours=9)}, "expired at"),
        ({}, {"now": NOON - timedelta(hours=1)}, "not valid before"),
        ({}, {"model": "Volt 99"}, "not for Acme Volt 99"),
        ({"downgrade": True, "reason": ""}, {}, "needs 2 approvals and a reason"),
        ({"downgrade": True, "reason": "worse", "approvals": ()}, {}, "needs 2 approvals and a reason"),
        ({"downgrade": True, "reason": "worse"}, {}, "needs 2 approvals and a reason"),
        ({"not_before": NOON - timedelta(hours=20)}, {}, "longer than 24 hours"),
        ({"not_after": NOON - timedelta(minutes=2)}, {}, "window is empty"),
        ({"charger_ids": ()}, {}, "names 0 chargers"),
        ({"charger_ids": tuple(f"CP-{n}" for n in range(501))}, {}, "names 501 chargers"),
        ({"charger_ids": ("CP-1", "CP-1")}, {}, "names a charger twice"),
        ({"nonce": "short"}, {}, "nonce"),
        ({"approvals": (Approval("sam", NOON, "0" * 64),)}, {}, "another plan"),
        ({"approvals": ()}, {}, "approvals of 0 people, not of 1"),
        ({"approvals": (Approval("sam", NOON, "f" * 64),) * 2, "required_approvals": 2}, {}, "not of 2"),
    ],
)
async def test_a_directive_covers_this_charger_now_or_it_is_refused(
    bench, directive, request_, words
) -> None:
    given_directive = bench.directive(await bench.upload(), **directive)
    request = bench.request(stored(given_directive, b""), **request_)
    with pytest.raises(DirectiveRefused) as refused:
        check_directive(given_directive, request)
    assert words in refused.value.message


@pytest.mark.parametrize("hours", [-1, 9])
async def test_a_directive_that_only_came_at_the_wrong_time_is_told_apart(bench, hours) -> None:
    directive = bench.directive(await bench.upload())
    now = NOON + timedelta(hours=hours)
    with pytest.raises(DirectiveNotInTime):
        check_directive(directive, bench.request(stored(directive, b""), now=now))
    with pytest.raises(DirectiveRefused) as refused:
        check_directive(directive, bench.request(stored(directive, b""), now=now, charger_id="CP-9"))
    assert type(refused.value) is DirectiveRefused
    assert refused.value.message.count(";") == 1


@pytest.mark.requirement("S25")
async def test_a_downgrade_goes_only_with_two_approvals_and_a_reason(bench) -> None:
    two = tuple(Approval(name, NOON, "f" * 64) for name in ("sam", "tess"))
    reason = "1.2 faults connectors"
    directive = bench.directive(await bench.upload(), downgrade=True, reason=reason, approvals=two)
    assert shape_problems(directive) == []
    check_progress(directive, 99, 0)
    for bare in (two[:1], two[:1] * 2, ()):
        assert shape_problems(replace(directive, approvals=bare))
    assert shape_problems(replace(directive, reason=" "))


@pytest.mark.requirement("S25")
async def test_a_counter_goes_back_only_with_authority_and_below_the_minimum_never(bench) -> None:
    directive = bench.directive(await bench.upload())
    for installed in (None, 10, 11):
        check_progress(directive, installed, minimum=11)
    with pytest.raises(DowngradeRefused, match="below the installed 12"):
        check_progress(directive, 12, minimum=0)
    for downgrade in (False, True):
        with pytest.raises(DowngradeRefused, match="minimum of 12"):
            check_progress(replace(directive, downgrade=downgrade), None, minimum=12)


@pytest.mark.requirement("S23")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_path": "acme/1.1/other.bin"}, "path"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"length": 1}, "length"),
        ({"version": "1.0"}, "version"),
        ({"release_counter": 12}, "release counter"),
        ({"compatible": (("Acme", "Volt 22"),)}, "compatible models"),
        ({"compatible": (("Acme", "Volt 22"), ("Acme", "Volt 50"), ("Bolt", "X"))}, "compatible models"),
    ],
)
async def test_directive_and_signed_release_must_agree_on_everything(bench, changes, words) -> None:
    artifact = await bench.upload()
    check_release(bench.directive(artifact), release_of(artifact))
    with pytest.raises(DirectiveRefused, match=words):
        check_release(bench.directive(artifact, **changes), release_of(artifact))


async def test_a_directive_of_before_approvals_were_signed_is_the_same_bytes(bench) -> None:
    """Nodes of both versions read it, so a fleet of nodes can be upgraded while campaigns run."""
    directive = bench.directive(await bench.upload())
    payload = directive_payload(directive)
    assert b"evidence" not in payload
    assert parse_directive(payload) == directive
    with pytest.raises(DirectiveRefused, match="canonical"):
        parse_directive(canonical_json(directive))
    signed = replace(directive, approvals=(Approval("sam", NOON, "f" * 64, "{}"),))
    assert parse_directive(directive_payload(signed)) == signed
