"""Settings and trust come through an update, or the update counts as failed (X9)."""

from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from activities.chargers import ChargerActivities
from activities.conclusion import ConcludeAnswer, ConcludeInput, RestoreInput
from activities.dispatch import DispatchActivities
from activities.fleet import FleetActivities, TargetMoves
from activities.late_settings import LateActivities, LateEnd, LateKind, LateOrder, LateSender
from csms.access import GetLocalListVersion
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    SetVariables,
)
from csms.errors import CallFailed, CommandTimeout
from storage.campaign import Outcome
from storage.certificate_use import CertificateHash, CertificateUse, InstalledCertificate
from storage.charger import SiteLease
from storage.incident import IncidentKind
from storage.kept import ENTRIES, OWED, SETTINGS, TRUST
from storage.twin import ConfigurationSection, Lifecycle, SecuritySection
from tests.unit.activities.test_dispatch import authorise, dispatch
from tests.unit.activities.world import World

pytestmark = pytest.mark.requirement("X9")
CP = "CP000"
VALUES = {
    "HeartbeatInterval": "60",
    "MeterValueSampleInterval": "900",
    "SecurityProfile": "2",
    "NumberOfConnectors": "1",
}
ROOT = InstalledCertificate(CertificateUse.CSMS_ROOT, CertificateHash("SHA256", "n", "k", "7"))
OTHER = replace(ROOT, hash=replace(ROOT.hash, serial_number="8"))


@pytest.fixture
async def world() -> World:
    """One charger whose settings and roots are known, sent an update."""
    world = World()
    world.add_chargers(1)
    security = SecuritySection(profile=2, roots=("CSMSRootCertificate/k/7",))
    world._twin(CP, configuration=ConfigurationSection(VALUES), security=security)
    world.settings[CP], world.roots[CP] = dict(VALUES), (ROOT,)
    await world.add_campaign([[CP]], world.plan(1))
    await world.approve("c1")
    await authorise(world)
    await dispatch(world)
    return world


async def conclude(world: World, outcome: Outcome | None = Outcome.UPDATED) -> ConcludeAnswer | None:
    end = ConcludeInput("c1", 0, CP, 1, outcome, "it booted with 1.1 after the command")
    activities = DispatchActivities(world.node)
    given = RestoreInput(end, session_epoch=1)
    answer: ConcludeAnswer | None = await ActivityEnvironment().run(activities.conclude_update, given)
    return answer


async def ended(world: World) -> tuple[Outcome | None, str]:
    row = await world.campaigns.target("c1", 0, CP)
    return row.outcome, row.reason


async def test_what_is_as_it_was_needs_nothing(world: World) -> None:
    assert await conclude(world) is None
    assert await ended(world) == (Outcome.UPDATED, "it booted with 1.1 after the command")
    assert not any(isinstance(command, SetVariables) for _, command in world.sent)
    assert not world.kept.rows, "and it is forgotten with the update"


async def test_a_factory_reset_is_undone_before_cars_may_come_again(world: World) -> None:
    world.settings[CP] |= {"HeartbeatInterval": "86400", "MeterValueSampleInterval": "0"}
    world.settings[CP]["NumberOfConnectors"] = "2"  # nobody sets that

    assert await conclude(world) is None

    assert world.settings[CP] == {**VALUES, "NumberOfConnectors": "2"}
    kinds = [type(command) for _, command in world.sent]
    assert kinds.index(SetVariables) < kinds.index(ChangeAvailability, kinds.index(SetVariables))
    outcome, reason = await ended(world)
    assert outcome is Outcome.UPDATED
    assert "had changed HeartbeatInterval, MeterValueSampleInterval, put back" in reason
    assert "charger.settings_changed_by_update" in world.audit.actions()


async def test_a_setting_that_does_not_go_back_is_a_failure(world: World) -> None:
    world.settings[CP]["HeartbeatInterval"] = "86400"
    world.read_only.add("HeartbeatInterval")

    answer = await conclude(world)

    assert answer is not None
    assert "settings that cannot be put back: HeartbeatInterval" in answer.reason
    assert (await ended(world))[0] is Outcome.FAILED
    assert CP not in world.inoperative, "it is in service again all the same"


@pytest.mark.parametrize("what", ["profile", "session", "root gone", "root new", "no roots"])
async def test_a_change_of_whom_it_trusts_is_never_put_back_by_a_machine(world: World, what: str) -> None:
    if what == "profile":
        world.settings[CP]["SecurityProfile"] = "1"
        world.settings[CP]["HeartbeatInterval"] = "1"
    elif what == "session":
        world._twin(CP, security=SecuritySection(profile=1))
    else:
        found = {"root gone": (OTHER,), "root new": (ROOT, OTHER), "no roots": ()}
        world.roots[CP] = found[what]

    answer = await conclude(world)

    assert answer is not None
    assert "changed whom it trusts or where it connects" in answer.reason
    assert (await ended(world))[0] is Outcome.FAILED
    assert not any(isinstance(command, SetVariables) for _, command in world.sent)


async def test_a_charger_that_cannot_be_asked_is_not_blamed_and_one_that_is_silent_is_asked_again(
    world: World,
) -> None:
    world.answers[GetVariables] = CommandTimeout(CP, "GetVariables", 1.0)
    with pytest.raises(Exception, match="did not answer GetVariables"):
        await conclude(world)
    assert await ended(world) == (None, "it accepted the update"), "the books are open"
    world.answers[GetVariables] = CallFailed(CP, "GetVariables", "InternalError", "")
    assert await conclude(world) is None
    assert (await ended(world))[0] is Outcome.UPDATED


async def test_what_a_new_image_does_not_know_any_more_is_no_loss(world: World) -> None:
    del world.settings[CP]["HeartbeatInterval"]
    assert await conclude(world) is None


async def test_a_second_attempt_compares_with_what_was_before_the_first(world: World) -> None:
    assert await conclude(world, None) is None
    broken = ConfigurationSection({**VALUES, "HeartbeatInterval": "1"})
    world._twin(CP, configuration=broken)
    world.settings[CP]["HeartbeatInterval"] = "1"
    await authorise(world, issue=2)
    await dispatch(world, attempt=2)
    assert world.kept.rows["c1", 0, CP].values["HeartbeatInterval"] == "60"
    await conclude(world)
    assert world.settings[CP]["HeartbeatInterval"] == "60"


async def test_what_was_set_since_it_was_read_is_asked_for_and_not_undone() -> None:
    world = World()
    world.add_chargers(1)
    world._twin(CP, configuration=ConfigurationSection({"HeartbeatInterval": "60"}))
    world.settings[CP] = {"HeartbeatInterval": "300"}
    await world.add_campaign([[CP]], world.plan(1))
    await world.approve("c1")
    await authorise(world)
    await dispatch(world)
    assert world.kept.rows["c1", 0, CP].values == {"HeartbeatInterval": "300"}
    assert await conclude(world) is None
    assert world.settings[CP] == {"HeartbeatInterval": "300"}


async def test_a_refusal_without_items_is_a_refusal_of_all(world: World) -> None:
    world.settings[CP]["HeartbeatInterval"] = "1"
    world.answers[SetVariables] = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)
    assert await conclude(world) is not None


async def listed(version: int | None, **settings: str) -> World:
    """One charger with a local list, sent an update."""
    world = World()
    world.add_chargers(1)
    known = {"LocalAuthListCtrlr.Enabled": "true", "AuthCtrlr.Enabled": "true", **settings}
    world._twin(CP, configuration=ConfigurationSection(known))
    world.settings[CP] = dict(known)
    if version is not None:
        world.local_lists[CP] = version
    await world.add_campaign([[CP]], world.plan(1))
    await world.approve("c1")
    await authorise(world)
    await dispatch(world)
    return world


@pytest.mark.requirement("F64")
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (7, 7, ""),
        (7, 8, ""),  # sent since: no update raises a version
        (0, 0, ""),
        (0, -1, ""),  # 1.6: none instead of an empty one
        (7, 0, "its local list had version 7 and has 0"),
        (7, -1, "its local list had version 7 and has -1"),
        (None, 0, ""),  # it never told, so nothing can be compared
        (7, None, ""),
    ],
)
async def test_who_may_charge_comes_through_an_update(
    before: int | None, after: int | None, says: str
) -> None:
    world = await listed(before)
    world.local_lists.pop(CP, None)
    if after is not None:
        world.local_lists[CP] = after

    await conclude(world)

    outcome, reason = await ended(world)
    assert outcome is (Outcome.FAILED if says else Outcome.UPDATED)
    assert says in reason
    assert ("charger.settings_changed_by_update" in world.audit.actions()) == bool(says)


@pytest.mark.requirement("F64")
@pytest.mark.parametrize(
    ("entries", "version", "lost"), [("3", 7, True), ("3", 8, False), ("many", 7, False)]
)
async def test_a_list_of_the_same_version_with_fewer_on_it_is_lost(
    entries: str, version: int, lost: bool
) -> None:
    world = await listed(7, **{ENTRIES: "12"})
    world.settings[CP][ENTRIES], world.local_lists[CP] = entries, version
    await conclude(world)
    assert ((await ended(world))[0] is Outcome.FAILED) == lost


@pytest.mark.requirement("F64")
async def test_settings_of_authorisation_and_charging_are_put_back() -> None:
    before = {"SmartChargingCtrlr.Enabled": "true", "AuthCacheCtrlr.LifeTime": "3600"}
    world = await listed(7, **before)
    world.settings[CP] |= {"SmartChargingCtrlr.Enabled": "false", "AuthCtrlr.Enabled": "false"}
    await conclude(world)
    assert world.settings[CP]["AuthCtrlr.Enabled"] == "true", "else everybody charges for nothing"
    assert world.settings[CP].items() >= before.items()
    assert (await ended(world))[0] is Outcome.UPDATED


async def test_who_has_no_local_list_is_not_asked_for_one(world: World) -> None:
    await conclude(world)
    assert not any(isinstance(command, GetLocalListVersion) for _, command in world.sent)


def test_nothing_is_both_put_back_and_left_to_a_person() -> None:
    assert not SETTINGS & TRUST


async def close(world: World, outcome: Outcome = Outcome.UPDATED) -> None:
    end = ConcludeInput("c1", 0, CP, 1, outcome, "it booted with 1.1 after the command")
    await ActivityEnvironment().run(ChargerActivities(world.stores).close_update, end)


async def test_whoever_cannot_be_asked_counts_and_its_reason_says_so(world: World) -> None:
    await close(world)
    reason = f"it booted with 1.1 after the command; {OWED}"
    assert await ended(world) == (Outcome.UPDATED, reason)
    assert list(world.kept.rows) == [("c1", 0, CP)], "what was noted stays until it is compared"
    assert await ChargerActivities(world.stores).sweep_leases() == 0
    assert world.kept.rows


async def test_of_whom_nothing_was_noted_nothing_is_owed(world: World) -> None:
    world.kept.rows.clear()
    await close(world)
    assert await ended(world) == (Outcome.UPDATED, "it booted with 1.1 after the command")


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SILENT])
async def test_a_failure_owes_nothing(world: World, outcome: Outcome) -> None:
    await close(world, outcome)
    assert await ended(world) == (outcome, "it booted with 1.1 after the command")
    assert not world.kept.rows


async def counted_by_a_look(world: World, outcome: Outcome = Outcome.UPDATED) -> None:
    world.leases.rows.clear()
    world.run_version(CP, "1.1")
    world.settings[CP]["HeartbeatInterval"] = "86400"
    moves = TargetMoves("c1", 0, done=((CP, outcome, "it booted late"),))
    await FleetActivities(world.stores).move_targets(moves)


async def late(world: World) -> LateEnd:
    [facts] = await LateActivities(world.stores, world.incidents).find_late(10)
    assert facts.route is not None
    order = LateOrder(facts.owed, facts.route.session_epoch, 900.0)
    end: LateEnd = await ActivityEnvironment().run(LateSender(world.node).compare_late, order)
    return end


@pytest.mark.parametrize("outcome", [Outcome.UPDATED, Outcome.ALREADY_CURRENT])
async def test_whoever_a_look_counts_is_compared_later(world: World, outcome: Outcome) -> None:
    await counted_by_a_look(world, outcome)
    assert await ended(world) == (Outcome.UPDATED, f"it booted late; {OWED}")
    before = len(world.sent)

    end = await late(world)

    assert (end.kind, world.settings[CP]) == (LateKind.KEPT, VALUES)
    assert "the update had changed HeartbeatInterval, put back" in end.words
    kinds = {type(command) for _, command in world.sent[before:]}
    assert kinds == {GetVariables, GetInstalledCertificateIds, SetVariables}, "nothing else is sent to it"


@pytest.mark.parametrize("what", ["session", "other version", "set aside", "lease"])
async def test_it_is_asked_nothing_where_that_changed_since_it_was_found(world: World, what: str) -> None:
    await counted_by_a_look(world)

    def changes(name: str) -> None:
        if what == "session":
            world.plug_in(name)
        elif what == "other version":
            world.run_version(name, "1.0")
        elif what == "set aside":
            view = world.chargers.rows[name]
            charger = replace(view.charger, lifecycle=Lifecycle.QUARANTINED)
            world.chargers.rows[name] = replace(view, charger=charger)
        else:
            site = world.chargers.rows[name].charger.site_id
            world.leases.rows[name] = SiteLease(name, site, "charger/" + name, "update", world.now)

    world.on_settle = changes
    before = len(world.sent)
    assert (await late(world)).kind is LateKind.NOT_NOW
    assert len(world.sent) == before


async def test_a_car_that_comes_while_it_is_compared_holds_back_what_would_be_put_back(world: World) -> None:
    await counted_by_a_look(world)

    async def comes(name: str, command: object) -> None:
        if isinstance(command, SetVariables):
            world.plug_in(name)

    world.on_turn = comes
    before = len(world.sent)
    end = await late(world)
    assert end.kind is LateKind.NOT_NOW
    assert SetVariables not in {type(command) for _, command in world.sent[before:]}


async def test_one_that_has_no_word_for_it_is_not_taken_for_unchanged(world: World) -> None:
    await counted_by_a_look(world)
    world.answers[GetVariables] = CallFailed(CP, "GetVariables", "InternalError", "")
    assert (await late(world)).kind is LateKind.UNTOLD
    assert world.kept.states["c1", 0, CP].tries == 1


@pytest.mark.parametrize(
    ("command", "answer", "what"),
    [
        (GetVariables, CommandAnswer(AnswerStatus.ACCEPTED), "its settings"),
        (GetInstalledCertificateIds, CommandAnswer(AnswerStatus.NOT_IMPLEMENTED), "its roots"),
        (GetInstalledCertificateIds, CallFailed(CP, "", "Internal", ""), "its roots"),
    ],
)
async def test_an_answer_that_tells_nothing_is_no_proof_that_it_is_as_it_was(
    world: World, command: type, answer: CommandAnswer | Exception, what: str
) -> None:
    await counted_by_a_look(world)
    world.answers[command] = answer
    end = await late(world)
    assert (end.kind, end.words) == (LateKind.UNTOLD, f"it did not tell {what}")


async def test_what_became_of_it_is_written_down_once(world: World) -> None:
    await counted_by_a_look(world)
    world.read_only.add("HeartbeatInterval")
    end, activities = await late(world), LateActivities(world.stores, world.incidents)
    assert end.kind is LateKind.SPOILT
    await activities.settle_late(end)
    await activities.settle_late(end)
    assert (await ended(world))[0] is Outcome.UPDATED
    assert (await ended(world))[1].count("settings that cannot be put back: HeartbeatInterval") == 1
    assert [one.kind for one in world.incidents.rows] == [IncidentKind.SETTINGS_NOT_KEPT]
    assert await activities.find_late(10) == ()


async def test_one_to_which_nothing_was_sent_is_forgotten_without_a_word(world: World) -> None:
    await counted_by_a_look(world)
    [facts] = await LateActivities(world.stores, world.incidents).find_late(10)
    before, records = await ended(world), len(world.audit.rows)
    end = LateEnd(facts.owed, LateKind.OTHERWISE, "")
    await LateActivities(world.stores, world.incidents).settle_late(end)
    assert (await ended(world), len(world.audit.rows)) == (before, records)
    assert not world.kept.rows
