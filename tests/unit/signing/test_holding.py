"""Ceremonies as files: seen, signed apart, gathered in any order, concluded by the signer."""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Targets

from signing.bundle import Bundle, merge, read_bundle, unsigned, write_bundle
from signing.errors import KeyUnavailable, StaleStage, VerificationFailed
from signing.holding import review, sign
from signing.keys import file_address
from signing.layout import Holders, Layout, first_metadata
from signing.metadata import encode_people
from signing.ports import MAX_CEREMONY
from signing.present import present_in
from signing.published import collect_published
from signing.rehearsal import TOOLS, People
from signing.service import OnlineKeys, SigningService
from signing.trust_source import fetch_from, load_role, load_trust
from storage.errors import Conflict, InvalidInput
from tests.unit.signing.conftest import NOON, DictBlobs

FOUNDERS = ("ada", "joan", "hedy", "rosa", "acme-release", "acme-qa")


def service(people: People, blobs: DictBlobs, now: Any = NOON) -> SigningService:
    return SigningService(blobs, people.root, OnlineKeys.in_folder(people.online_folder), lambda: now)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture
def people(folder: Path) -> People:
    """Keys are made once for the module; nobody has a root yet."""
    return People(folder)


@pytest.fixture
async def founded(people: People) -> tuple[People, DictBlobs]:
    blobs = DictBlobs()
    bundle = people.found(NOON)
    await service(people, blobs).conclude_ceremony(write_bundle(bundle))
    return people, blobs


async def trust(people: People, blobs: DictBlobs, now: Any = NOON) -> Any:
    fetch = fetch_from(blobs)
    found = await load_trust(fetch, people.root, now)
    for role in found.roles():
        await load_role(fetch, found, role)
    return found


@pytest.mark.requirement("S1", "S15")
async def test_a_first_ceremony_from_paper_to_readers(people: People) -> None:
    blobs = DictBlobs()
    bundle = people.first(NOON)
    reviewed = review(bundle, None, NOON)
    assert reviewed.flags == ()
    assert not reviewed.complete
    text = "\n".join(reviewed.screen())
    for words in ("first root", "+ root needs 2 of 3", "ada (key", "vendor role acme", "+ directive key"):
        assert words in text
    signed = people.found(NOON)
    assert review(signed, None, NOON).complete
    stamp = await service(people, blobs).conclude_ceremony(write_bundle(signed))
    assert stamp.versions == {"root": 1, "targets": 1, "acme": 1}
    assert set(stamp.signers) == set(FOUNDERS)
    assert (await trust(people, blobs)).roles() == ("acme",)
    assert blobs.writes[-1] == "tuf/metadata/timestamp.json"
    again = await service(people, blobs).conclude_ceremony(write_bundle(signed))
    assert (again.versions, again.timestamp_version) == (stamp.versions, stamp.timestamp_version)


@pytest.mark.requirement("S15")
def test_copies_are_gathered_in_any_order_with_any_number_of_doubles(people: People) -> None:
    bundle = people.first(NOON)
    copies = [people.sign_alone(bundle, name, NOON) for name in ("ada", "joan", "hedy")]
    wanted = write_bundle(merge([bundle, *copies]))
    for order in permutations([*copies, bundle]):
        assert write_bundle(merge([*order, order[0]])) == wanted
    assert len(review(read_bundle(wanted), None, NOON).entries) == 3


@pytest.mark.requirement("S1")
async def test_below_the_threshold_nothing_is_published(people: People) -> None:
    blobs = DictBlobs()
    people.found(NOON)
    embedded, people.root = people.root, b""
    for missing in FOUNDERS:
        short = people.sign(people.first(NOON), [name for name in FOUNDERS if name != missing], NOON)
        assert not review(short, None, NOON).complete
        with pytest.raises(VerificationFailed, match="Not everybody has signed"):
            await service(replace(people, root=embedded), blobs).conclude_ceremony(write_bundle(short))
    assert blobs.objects == {}


@pytest.mark.requirement("S16")
def test_whoever_edits_the_file_voids_what_was_signed(people: People) -> None:
    signed = people.sign(people.first(NOON), FOUNDERS, NOON)
    document = json.loads(write_bundle(signed))
    document["parts"]["targets"]["signed"]["expires"] = "2026-06-01T00:00:00Z"
    edited = read_bundle(json.dumps(document).encode())
    reviewed = review(replace(edited, transcript=()), None, NOON)
    assert any("changed after it was signed (S16)" in flag for flag in reviewed.flags)
    assert not reviewed.complete
    with pytest.raises(VerificationFailed, match="Not signed"):
        sign(reviewed, file_address(people.path("mary")), now=NOON, tools=TOOLS)
    with pytest.raises(VerificationFailed, match="another ceremony"):
        review(edited, None, NOON)
    with pytest.raises(VerificationFailed, match="not copies of one ceremony"):
        merge([signed, edited])


@pytest.mark.requirement("S2", "S3", "S5")
@pytest.mark.parametrize("attack", ["alias", "forged", "online", "person", "threshold", "few"])
def test_a_layout_that_breaks_the_rules_is_not_even_prepared(people: People, attack: str) -> None:
    ada, grace, joan = (people.key(name) for name in ("ada", "grace", "joan"))
    alias = type(ada).from_dict("0" * 64, ada.to_dict())
    twice = type(grace).from_dict(grace.keyid, {**grace.to_dict(), "x-ampwave-holder": "ada"})
    wrong: dict[str, Layout] = {
        "alias": replace(people.layout, root=Holders(2, (ada, alias, joan))),
        "forged": replace(people.layout, targets=Holders(2, (alias, grace, joan))),
        "online": replace(
            people.layout,
            vendors={"acme": replace(people.layout.vendors["acme"], holders=people.online("timestamp"))},
        ),
        "person": replace(people.layout, root=Holders(2, (ada, twice, joan))),
        "threshold": replace(people.layout, root=Holders(1, (ada, grace, joan))),
        "few": replace(people.layout, root=Holders(2, (ada, grace))),
    }
    said = {"alias": "(S2)", "forged": "(S3)", "online": "(S5)", "person": "counts ada twice (S2)"}
    with pytest.raises(InvalidInput) as refused:
        first_metadata(wrong[attack], NOON)
    assert any(said.get(attack, "(S1)") in problem for problem in refused.value.problems)


@pytest.mark.requirement("S2", "S5", "S8", "S15")
@pytest.mark.parametrize(
    "attack", ["alias", "online", "hidden", "diamond", "wide", "release", "long", "name"]
)
def test_a_file_that_breaks_the_rules_is_signed_by_nobody(people: People, attack: str) -> None:
    """Made by somebody who does not use our tools: the holder's own command refuses it."""
    document = json.loads(write_bundle(people.first(NOON)))
    root, targets = (document["parts"][role]["signed"] for role in ("root", "targets"))
    acme = targets["delegations"]["roles"][0]
    if attack == "alias":
        root["keys"]["0" * 64] = root["keys"][root["roles"]["root"]["keyids"][0]]
        root["roles"]["root"]["keyids"][1] = "0" * 64
    elif attack == "online":
        keyid = root["roles"]["snapshot"]["keyids"][0]
        targets["delegations"]["keys"][keyid] = root["keys"][keyid]
        acme["keyids"][0] = keyid
    elif attack == "hidden":
        targets["x-also"] = "this"
    elif attack == "diamond":
        second = {"keys": targets["delegations"]["keys"], "roles": [acme]}
        document["parts"]["acme"]["signed"]["delegations"] = second
    elif attack == "wide":
        acme["paths"] = ["*/*/*"]
    elif attack == "name":
        acme["name"], acme["paths"] = "../acme", ["../acme/*/*"]
        document["parts"]["../acme"] = document["parts"].pop("acme")
    elif attack == "release":
        file = {"length": 1, "hashes": {"sha256": "0" * 64}}
        document["parts"]["acme"]["signed"]["targets"] = {"acme/1/firmware.bin": file}
    else:
        root["expires"] = "2046-01-01T00:00:00Z"
    reviewed = review(read_bundle(json.dumps(document).encode()), None, NOON)
    assert reviewed.flags
    with pytest.raises(VerificationFailed, match="Not signed"):
        sign(reviewed, file_address(people.path("ada")), now=NOON, tools=TOOLS)


@pytest.mark.requirement("S15")
async def test_a_server_that_lies_about_the_past_is_found_out(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    people.change(vendors={**people.layout.vendors, "bolt": people.vendor("bolt")})
    bundle = await people.next(fetch_from(blobs), NOON)
    text = "\n".join(review(bundle, people.root, NOON).screen())
    assert "+ vendor role bolt" in text
    assert "Compared with root 1, which follows from your own root" in text
    # The server shows a past in which bolt was there already, so that its arrival would go unnoticed.
    lie = {**bundle.evidence, "1.targets.json": encode_people(bundle.parts["targets"])}
    with pytest.raises(VerificationFailed):
        review(replace(bundle, evidence=lie), people.root, NOON)
    with pytest.raises(VerificationFailed, match="missing"):
        review(replace(bundle, evidence={"timestamp.json": lie["timestamp.json"]}), people.root, NOON)
    with pytest.raises(VerificationFailed, match=r"your own root\.json is needed"):
        review(bundle, None, NOON)
    with pytest.raises(VerificationFailed, match="you hold a root already"):
        review(people.first(NOON), people.root, NOON)


@pytest.mark.requirement("S4")
async def test_a_version_that_skips_is_refused(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    people.change(root=people.holders("ada", "grace", "lynn"))
    bundle = await people.next(fetch_from(blobs), NOON)
    for role, part in bundle.parts.items():
        part.signed.version += 1
        assert any("comes only the next (S4)" in flag for flag in review(bundle, people.root, NOON).flags), (
            role
        )


@pytest.mark.requirement("S4")
async def test_a_root_needs_the_thresholds_of_both_sides(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    people.change(root=people.holders("lynn", "evi", "kay"))
    bundle = await people.next(fetch_from(blobs), NOON)
    for who in (("lynn", "evi"), ("ada", "grace"), ("ada", "lynn", "evi")):
        short = people.sign(bundle, who, NOON)
        with pytest.raises(VerificationFailed, match="Not everybody"):
            await service(people, blobs).conclude_ceremony(write_bundle(short))
    done = people.sign(bundle, ("ada", "joan", "lynn", "kay"), NOON)
    stamp = await service(people, blobs).conclude_ceremony(write_bundle(done))
    assert stamp.versions["root"] == 2
    assert (await trust(people, blobs)).root.version == 2


async def test_a_key_that_counts_for_nothing_and_one_that_signed_already(people: People) -> None:
    bundle = people.first(NOON)
    with pytest.raises(KeyUnavailable):
        people.sign_alone(bundle, "stranger", NOON) if people.key("stranger") else None
    once = people.sign_alone(bundle, "ada", NOON)
    with pytest.raises(Conflict, match="has signed all"):
        people.sign_alone(once, "ada", NOON)


async def test_there_is_nothing_to_sign_until_something_differs_or_nears_its_expiry(
    founded: tuple[People, DictBlobs],
) -> None:
    people, blobs = founded
    fetch = fetch_from(blobs)
    with pytest.raises(Conflict, match="nothing to sign"):
        await people.next(fetch, NOON)
    assert set((await people.next(fetch, NOON, renew=["acme"])).parts) == {"acme"}
    assert set((await people.next(fetch, NOON + timedelta(days=80))).parts) == {"acme"}
    assert set((await people.next(fetch, NOON + timedelta(days=160))).parts) == {"acme", "targets"}
    assert set((await people.next(fetch, NOON + timedelta(days=320))).parts) == {"acme", "targets", "root"}
    with pytest.raises(InvalidInput) as refused:
        await people.next(fetch, NOON, renew=["nobody"], withdraw=["acme/9/x.bin"])
    assert len(refused.value.problems) == 2


async def test_a_ceremony_that_came_too_late_is_told_so(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    fetch = fetch_from(blobs)
    people.change(root=people.holders("ada", "grace", "lynn"))
    late = people.sign(await people.next(fetch, NOON), ("ada", "grace"), NOON)
    people.change(root=people.holders("ada", "grace", "evi"))
    first = people.sign(await people.next(fetch, NOON), ("ada", "grace"), NOON)
    await service(people, blobs).conclude_ceremony(write_bundle(first))
    with pytest.raises(VerificationFailed, match="comes only the next"):
        await service(people, blobs).conclude_ceremony(write_bundle(late))
    people.root = blobs.objects["tuf/metadata/2.root.json"]
    with pytest.raises(StaleStage, match="yours is 2"):
        review(late, people.root, NOON)


@pytest.mark.requirement("S5", "S21")
async def test_a_role_that_changes_hands_is_vouched_for_by_its_new_holders(
    founded: tuple[People, DictBlobs],
) -> None:
    people, blobs = founded
    taken = replace(people.layout.vendors["acme"], holders=people.holders("new-1", "new-2", "new-3"))
    people.change(vendors={"acme": taken})
    bundle = await people.next(fetch_from(blobs), NOON)
    assert set(bundle.parts) == {"targets", "acme"}
    without = Bundle({"targets": bundle.parts["targets"]}, bundle.evidence)
    assert any("changes hands" in flag for flag in review(without, people.root, NOON).flags)
    signed = people.sign(bundle, ("mary", "hedy", "new-1", "new-3"), NOON)
    await service(people, blobs).conclude_ceremony(write_bundle(signed))
    found = await trust(people, blobs)
    assert set(found.targets.get_delegated_role("acme").keyids) == set(taken.holders.keyids)


async def test_a_vendor_that_left_can_come_back(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    vendors = dict(people.layout.vendors)
    people.change(vendors={"bolt": people.vendor("bolt")})
    left = people.sign(
        await people.next(fetch_from(blobs), NOON), ("mary", "hedy", "bolt-qa", "bolt-release"), NOON
    )
    assert any("nothing of it can be sent" in line for line in review(left, people.root, NOON).lines)
    await service(people, blobs).conclude_ceremony(write_bundle(left))
    assert (await trust(people, blobs)).roles() == ("bolt",)
    people.change(vendors={**people.layout.vendors, **vendors})
    back = await people.next(fetch_from(blobs), NOON)
    assert back.parts["acme"].signed.version == 2
    signed = people.sign(back, ("mary", "rosa", "acme-qa", "acme-release"), NOON)
    await service(people, blobs).conclude_ceremony(write_bundle(signed))
    assert set((await trust(people, blobs)).roles()) == {"acme", "bolt"}


def test_the_transcript_says_who_signed_with_what_and_cannot_be_forged(people: People) -> None:
    signed = people.sign(people.first(NOON), ("ada", "hedy"), NOON)
    entries = review(signed, None, NOON).entries
    assert {(entry.holder, entry.roles) for entry in entries} == {("ada", ("root",)), ("hedy", ("targets",))}
    assert {entry.tools for entry in entries} == {TOOLS}
    forged = json.loads(json.dumps(signed.transcript[0]))
    forged["payload"] = signed.transcript[1]["payload"]
    with pytest.raises(VerificationFailed, match="does not hold"):
        review(replace(signed, transcript=(forged,)), None, NOON)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"format":"ampwave ceremony 1"}',
        b'{"format":"ampwave ceremony 1","parts":{"root":[]},"evidence":{},"transcript":[]}',
        b'{"format":"ampwave ceremony 1","parts":{"snapshot":{}},"evidence":{},"transcript":[]}',
        b'{"format":"ampwave ceremony 1","parts":{},"parts":{},"evidence":{},"transcript":[]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_rubbish_is_refused_in_our_words(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        read_bundle(data)


def test_a_file_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(VerificationFailed, match="longer than"):
        read_bundle(b" " * (MAX_CEREMONY + 1))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_single_change_to_a_signed_file_leaves_it_complete(people: People, data: st.DataObject) -> None:
    """Wherever somebody touches what is signed or a signature, it is noticed or makes no difference."""
    document = json.loads(write_bundle(people.sign(people.first(NOON), FOUNDERS, NOON)))
    document["transcript"] = []
    before = {role: part["signed"] for role, part in json.loads(json.dumps(document))["parts"].items()}
    _tamper(document["parts"], data)
    try:
        reviewed = review(read_bundle(json.dumps(document).encode()), None, NOON)
    except VerificationFailed:
        return
    after = {role: part["signed"] for role, part in document["parts"].items()}
    assert after == before or not reviewed.complete


def _tamper(value: Any, data: st.DataObject) -> None:
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            value["new" if isinstance(value, dict) else slice(0)] = ["new"]
            return
        key = data.draw(st.sampled_from(keys))
        child = value[key]
        if isinstance(child, (dict, list)) and (not child or data.draw(st.booleans())):
            value = child
            continue
        if isinstance(child, (dict, list)):
            del value[key]
        elif isinstance(child, str):
            value[key] = child[:-1] + ("0" if child[-1:] != "0" else "1")
        elif isinstance(child, bool):
            value[key] = not child
        else:
            value[key] = child + 1
        return


async def test_evidence_is_followed_from_ones_own_root_only(founded: tuple[People, DictBlobs]) -> None:
    people, blobs = founded
    evidence = await collect_published(fetch_from(blobs))
    present = present_in(evidence, people.root)
    assert present.versions == {"targets": 1, "acme": 1}
    other = People(people.folder / "other")
    other.found(NOON)
    with pytest.raises(VerificationFailed):
        present_in(evidence, other.root)
    people_only = {name: data for name, data in evidence.items() if name != "timestamp.json"}
    without = present_in(people_only, people.root)
    assert (without.seen_until, without.versions) == (None, present.versions)
    planted = {
        **people_only,
        "7.targets.json": encode_people(unsigned({"targets": Targets(7)}).parts["targets"]),
    }
    assert present_in(planted, people.root).versions == present.versions
