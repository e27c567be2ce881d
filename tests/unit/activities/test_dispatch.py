# long-file: one step that sends, all its refusals in one place
"""The step that sends: what it checks, in which order, and what it leaves behind."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.availability import STILL_AT_WORK, STILL_OUT
from activities.chargers import ChargerActivities
from activities.conclusion import ConcludeInput, RestoreInput
from activities.dispatch import DispatchActivities
from activities.leave import no_leave
from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, PutBackInput, ResetInput
from activities.signer import DirectiveOrder, SignerActivities
from csms.commands import AnswerStatus, ChangeAvailability, Command, CommandAnswer, Reset, UpdateFirmware
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere
from signing.errors import DirectiveNotInTime, MetadataExpired
from storage.artifact import ArtifactPhase
from storage.audit import AuditEntry
from storage.campaign import ROLLBACK_WAVE_BASE, CampaignPhase, Outcome, TargetPhase
from storage.canonical import sha256_hex
from storage.capability import Declared
from storage.charger import ModelProfile, OutOfService, SiteLease
from storage.events import ConnectorStatus, FirmwareStatus
from storage.halt import EVERYTHING, Halt, Vote
from storage.ticket_binding import is_of
from storage.twin import ConnectivitySection, ConnectorState, Lifecycle, OperationSection
from storage.upkeep import Upkeep
from storage.windows import Closure, ClosureKind, Window
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.unit.activities.world import MODEL, START, VENDOR, World, idle, lost_answer

CP = "CP000"


def order(**changes: object) -> DispatchInput:
    given = DispatchInput("c1", 0, 0, CP, 1, 1)
    return replace(given, **changes)  # type: ignore[arg-type]


async def authorise(world: World, issue: int = 1, wave: int = 0) -> None:
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    await signer.sign_directive(DirectiveOrder("c1", wave, 0, issue, 0, 500, 3600.0))


@pytest.fixture
async def world() -> World:
    world = World()
    world.add_chargers(2)
    await world.add_campaign([[CP], ["CP001"]], world.plan(2))
    await world.approve("c1")
    await authorise(world)
    return world


async def dispatch(world: World, **changes: object) -> DispatchAnswer:
    activities = DispatchActivities(world.node)
    return await ActivityEnvironment().run(activities.dispatch_update, order(**changes))


async def conclude(world: World, **changes: object) -> None:
    given = RestoreInput(ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "it booted"), session_epoch=1)
    activities = DispatchActivities(world.node)
    await ActivityEnvironment().run(
        activities.conclude_update,
        replace(given, **changes),  # type: ignore[arg-type]
    )


async def target(world: World) -> tuple[TargetPhase, Outcome | None]:
    row = await world.campaigns.target("c1", 0, CP)
    return row.phase, row.outcome


async def test_sends_once_everything_holds(world: World) -> None:
    answer = await dispatch(world)

    assert answer.kind is DispatchKind.ACCEPTED
    assert answer.drained
    [(_, command)] = world.updates(CP)
    assert command.request_id == answer.request_id
    assert command.signature == "c2ln"
    assert await target(world) == (TargetPhase.CONFIRMING, None)
    assert world.leases.rows[CP].request_id == answer.request_id
    assert "update.dispatched" in world.audit.actions()


@pytest.mark.requirement("R29")
async def test_what_it_ran_when_it_was_sent_the_update_is_on_record_and_not_what_the_plan_foresaw(
    world: World,
) -> None:
    world.run_version(CP, "1.0.5")
    await dispatch(world)
    assert (await world.campaigns.target("c1", 0, CP)).from_version == "1.0.5"


@pytest.mark.requirement("S36", "S66")
async def test_what_the_proof_rests_on_is_looked_at_in_the_statement_that_marks_it_as_sent(
    world: World,
) -> None:
    world.certificate_subjects = ("certificate:c1",)
    await dispatch(world)
    assert world.campaigns.marked_with == (artifact_subject(sha256_hex(b"1.1")), "certificate:c1")


@pytest.mark.requirement("S66")
async def test_nothing_is_sent_or_signed_while_everything_is_halted(world: World) -> None:
    halt = await world.halts.pull(EVERYTHING, "ann", "smoke at depot 3", START)
    answer = await dispatch(world)
    assert (answer.kind, world.sent) == (DispatchKind.NOT_NOW, [])
    assert "smoke at depot 3" in answer.reason
    with pytest.raises(ApplicationError, match="smoke") as refused:
        await authorise(world, issue=2)
    assert not refused.value.non_retryable, "it goes on by itself once it is restored"
    for name in ("bob", "cid"):
        await world.halts.restore(halt.halt_id, Vote(name, "it was steam", START), recorded)
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED


def recorded(halt: Halt) -> AuditEntry:
    return AuditEntry(START, "bob", "halt.voted", halt.scope, {})


def withdrawn(subject: str, **changes: object) -> Withdrawal:
    return replace(Withdrawal(subject, "it bricks", Source.PERSON, "ada", START), **changes)  # type: ignore[arg-type]


@pytest.mark.requirement("S36", "S66")
@pytest.mark.parametrize("subject", [artifact_subject(sha256_hex(b"1.1")), "certificate:c1", "serial:i:7"])
async def test_a_withdrawal_in_mid_wave_stops_the_next_charger(world: World, subject: str) -> None:
    world.certificate_subjects = ("certificate:c1", "serial:i:7")
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED
    await world.withdrawals.add([withdrawn(subject)])
    await authorise_next(world)

    answer = await dispatch(world, wave=1, charger_id="CP001")

    assert answer.kind is DispatchKind.HALT
    assert "withdrawn by ada: it bricks" in answer.reason
    assert not world.updates("CP001")
    assert not answer.drained, "it was given back"
    assert "security.dispatch_refused" in world.audit.actions()


async def authorise_next(world: World) -> None:
    """The directive of wave 1 was signed before anything was withdrawn."""
    kept, world.withdrawals.rows = world.withdrawals.rows, {}
    await authorise(world, wave=1)
    world.withdrawals.rows = kept


@pytest.mark.requirement("S36", "S66")
async def test_nothing_further_is_signed_for_what_was_withdrawn(world: World) -> None:
    await world.withdrawals.add([withdrawn(artifact_subject(sha256_hex(b"1.1")))])
    with pytest.raises(ApplicationError, match="withdrawn by ada"):
        await authorise(world, wave=1)


@pytest.mark.requirement("S66")
async def test_what_two_people_restored_is_sent_again(world: World) -> None:
    subject = artifact_subject(sha256_hex(b"1.1"))
    await world.withdrawals.add([withdrawn(subject, restored_by=("ada", "grace"))])
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED


@pytest.mark.requirement("S38")
@pytest.mark.parametrize("status", [AnswerStatus.INVALID_CERTIFICATE, AnswerStatus.REVOKED_CERTIFICATE])
async def test_a_refused_certificate_withdraws_the_release_for_every_campaign(
    world: World, status: AnswerStatus
) -> None:
    world.answers[UpdateFirmware] = CommandAnswer(status)
    assert (await dispatch(world)).kind is DispatchKind.HALT
    world.answers.clear()
    await authorise_next(world)
    other = await dispatch(world, wave=1, charger_id="CP001")
    assert other.kind is DispatchKind.HALT
    assert f"charger/{CP}" in other.reason
    assert world.artifacts.rows[sha256_hex(b"1.1")].phase is ArtifactPhase.REVOKED


@pytest.mark.requirement("S38")
async def test_a_refused_signature_withdraws_the_release_once(world: World) -> None:
    await dispatch(world)
    end = ConcludeInput("c1", 0, CP, 1, Outcome.FAILED, "it reported InvalidSignature", distrusted=True)
    await conclude(world, end=end)
    await conclude(world, end=end)
    [row] = world.withdrawals.rows.values()
    assert (row.subject, row.source) == (artifact_subject(sha256_hex(b"1.1")), Source.CHARGER)
    assert world.audit.actions().count("artifact.withdrawn") == 1


@pytest.mark.requirement("S43")
async def test_the_ticket_is_bound_hashed_and_never_returned(world: World) -> None:
    answer = await dispatch(world)

    [(_, command)] = world.updates(CP)
    secret = command.location.removeprefix("http://api/d/")
    [ticket] = world.tickets.rows
    assert ticket.ticket_sha256 == sha256_hex(secret.encode())
    assert (ticket.charger_id, ticket.artifact_sha256) == (CP, sha256_hex(b"1.1"))
    assert len(secret) == 44
    assert is_of(secret, ticket)
    assert not is_of(secret, replace(ticket, artifact_sha256=sha256_hex(b"1.0")))
    assert secret not in repr(answer)
    assert all(secret not in repr(entry) for entry in world.audit.rows)


@pytest.mark.requirement("X1", "R22", "F86")
async def test_a_charging_car_is_never_disturbed(world: World) -> None:
    world.plug_in(CP)

    answer = await dispatch(world)

    assert (answer.kind, answer.for_session) == (DispatchKind.NOT_NOW, True)
    assert world.sent == []


@pytest.mark.requirement("X1", "F86")
async def test_a_session_that_begins_while_draining_wins_and_availability_comes_back(world: World) -> None:
    settles = []

    def second_time_a_car_is_there(charger_id: str) -> None:
        settles.append(charger_id)
        if len(settles) == 2:
            world.plug_in(charger_id)

    world.on_settle = second_time_a_car_is_there
    answer = await dispatch(world)

    assert (answer.kind, answer.for_session, answer.drained) == (DispatchKind.NOT_NOW, True, False)
    assert [command for _, command in world.sent] == [
        ChangeAvailability(operative=False),
        ChangeAvailability(operative=True),
    ]


@pytest.mark.requirement("X1")
async def test_a_charger_that_schedules_the_drain_is_busy_and_is_put_back(world: World) -> None:
    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        world.sent.append((charger_id, command))  # type: ignore[arg-type]
        wants_out = isinstance(command, ChangeAvailability) and not command.operative
        return CommandAnswer(AnswerStatus.SCHEDULED if wants_out else AnswerStatus.ACCEPTED)

    world.send = send  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)

    assert (answer.kind, answer.for_session, answer.drained) == (DispatchKind.NOT_NOW, True, False)
    assert world.sent[-1][1] == ChangeAvailability(operative=True)
    assert not world.updates()


@pytest.mark.requirement("S23", "S32", "S65")
async def test_a_proof_that_does_not_hold_halts_and_is_on_record(world: World) -> None:
    world.refused_proofs.add(CP)

    answer = await dispatch(world)

    assert answer.kind is DispatchKind.HALT
    assert not world.updates()
    assert not world.inoperative
    assert "security.dispatch_refused" in world.audit.actions()


@pytest.mark.requirement("S24")
async def test_a_directive_is_good_for_one_request_only(world: World) -> None:
    world.campaigns.uses["c1.0.0.1", CP] = 4711

    assert (await dispatch(world)).kind is DispatchKind.NOT_NOW, "the next directive is good again"
    assert not world.updates()
    assert "security.dispatch_refused" not in world.audit.actions()


@pytest.mark.requirement("S24")
@pytest.mark.parametrize("error", [DirectiveNotInTime("It is over."), MetadataExpired("It is over.")])
async def test_what_can_be_signed_anew_halts_nobody(world: World, error: Exception) -> None:
    async def verify(request: object) -> object:
        raise error

    world.verify = verify  # type: ignore[method-assign,assignment]
    assert (await dispatch(world)).kind is DispatchKind.NOT_NOW
    assert not world.updates()
    assert not world.inoperative


async def _during_the_last_checks(world: World, happens: object) -> DispatchAnswer:
    """Something is committed after everything was looked at and before the command leaves."""
    real = world.tickets.add

    async def add(ticket: object) -> None:
        await happens()  # type: ignore[operator]
        await real(ticket)  # type: ignore[arg-type]

    world.tickets.add = add  # type: ignore[method-assign]
    return await dispatch(world)


@pytest.mark.requirement("R30", "R31")
@pytest.mark.parametrize("stop", ["skip", "abort"])
async def test_nothing_overtakes_a_stop_that_is_committed_in_the_gap(world: World, stop: str) -> None:
    async def happens() -> None:
        if stop == "abort":
            await world.campaigns.set_phase("c1", CampaignPhase.ABORTING, "", START)
        else:
            await world.campaigns.finish_target("c1", 0, CP, Outcome.SKIPPED, "ada took it out", START)

    answer = await _during_the_last_checks(world, happens)

    assert answer.kind is DispatchKind.NOT_NOW
    assert not world.updates()
    assert not world.inoperative
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at is None


@pytest.mark.requirement("R24")
async def test_what_never_left_us_was_not_dispatched(world: World) -> None:
    real = world.send

    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        if isinstance(command, UpdateFirmware):
            await more["last_look"]()
            raise NotConnectedHere(charger_id, epoch)
        return await real(charger_id, epoch, command, **more)  # type: ignore[arg-type]

    world.send = send  # type: ignore[method-assign,assignment]
    assert (await dispatch(world)).kind is DispatchKind.GONE
    row = await world.campaigns.target("c1", 0, CP)
    assert (row.phase, row.dispatched_at) == (TargetPhase.WAITING, None)


@pytest.mark.requirement("X1", "R24")
@pytest.mark.parametrize("car", [True, False])
async def test_a_look_that_is_taken_again_undoes_what_the_first_wrote_down(world: World, car: bool) -> None:
    real = world.send

    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        if isinstance(command, UpdateFirmware):
            await more["last_look"]()
            if car:
                world.plug_in(CP)
        return await real(charger_id, epoch, command, **more)  # type: ignore[arg-type]

    world.send = send  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)

    row, acts = await world.campaigns.target("c1", 0, CP), world.audit.actions()
    assert acts.count("update.dispatched") == 1
    assert ("update.withheld" in acts) is car
    assert bool(world.updates()) is not car
    assert answer.kind is (DispatchKind.NOT_NOW if car else DispatchKind.ACCEPTED)
    assert (row.dispatched_at is None) is car


@pytest.mark.requirement("R24")
@pytest.mark.parametrize("refused", [ChangeAvailability, UpdateFirmware])
async def test_a_charger_that_is_not_accepted_waits_as_it_was(world: World, refused: type[object]) -> None:
    real = world.send

    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        if isinstance(command, refused):
            raise NotAccepted(charger_id, refused.__name__)
        return await real(charger_id, epoch, command, **more)  # type: ignore[arg-type]

    world.send = send  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)
    assert (answer.kind, answer.drained) == (DispatchKind.NOT_NOW, False)
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at is None
    assert not world.inoperative
    assert not world.out_of_service.rows


@pytest.mark.requirement("R24")
async def test_what_may_have_left_us_earlier_stays_dispatched(world: World) -> None:
    world.default = lost_answer
    await dispatch(world)
    sent = (await world.campaigns.target("c1", 0, CP)).dispatched_at
    assert (await dispatch(world, session_epoch=7)).kind is DispatchKind.GONE

    assert sent is not None
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at == sent


@pytest.mark.requirement("X3")
async def test_a_charger_that_may_be_installing_is_not_opened_when_it_cannot_be_sent_again(
    world: World,
) -> None:
    world.default = lost_answer
    await dispatch(world)
    world.refused_proofs.add(CP)

    assert (await dispatch(world)).drained
    assert CP in world.inoperative


@pytest.mark.requirement("R28")
@pytest.mark.parametrize(("runs", "goes_back"), [("1.1", True), ("1.2", False)])
async def test_a_rollback_takes_back_one_version_only(world: World, runs: str, goes_back: bool) -> None:
    [row] = await world.campaigns.targets("c1", 0)
    back = sha256_hex(b"1.0")
    rollback = replace(row, wave=1000, artifact_id=back, from_version="1.1", to_version="1.0")
    await world.campaigns.add_targets([rollback])
    await world.campaigns.set_phase("c1", CampaignPhase.ROLLING_BACK, "", START)
    await authorise(world, wave=1000)
    await world.boot(CP, runs, signal=False)

    answer = await dispatch(world, wave=1000)

    assert bool(world.updates()) is goes_back
    if not goes_back:
        assert answer.kind is DispatchKind.UNSUPPORTED
        assert "it runs 1.2, not 1.1" in answer.reason


@pytest.mark.requirement("S24")
async def test_the_same_request_may_be_sent_again_under_the_same_directive(world: World) -> None:
    world.default = lost_answer
    first = await dispatch(world)
    second = await dispatch(world, out_of_service=())

    assert (first.kind, second.kind) == (DispatchKind.UNKNOWN, DispatchKind.ACCEPTED)
    assert first.drained
    assert [command.request_id for _, command in world.updates(CP)] == [first.request_id] * 2


@pytest.mark.requirement("X2", "R55")
async def test_the_site_budget_holds_across_campaigns(world: World) -> None:
    site = world.chargers.rows[CP].charger.site_id
    world.leases.rows["other"] = SiteLease("other", site, "charger/other", "certificate", START)

    answer = await dispatch(world)

    assert answer.kind is DispatchKind.NOT_NOW
    assert "1 of 1" in answer.reason
    assert world.sent == []


@pytest.mark.parametrize(
    "phase", [CampaignPhase.PAUSED, CampaignPhase.ABORTING, CampaignPhase.AWAITING_APPROVAL]
)
@pytest.mark.requirement("R30")
async def test_nothing_leaves_unless_the_campaign_runs(world: World, phase: CampaignPhase) -> None:
    await world.campaigns.set_phase("c1", phase, "", START)

    assert (await dispatch(world)).kind is DispatchKind.NOT_NOW
    assert world.sent == []


@pytest.mark.requirement("R30")
async def test_an_abort_during_the_checks_still_holds_the_command_back(world: World) -> None:
    real = world.verify

    async def verify(request: object) -> object:
        await world.campaigns.set_phase("c1", CampaignPhase.ABORTING, "", START)
        return await real(request)  # type: ignore[arg-type]

    world.verify = verify  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)

    assert answer.kind is DispatchKind.NOT_NOW
    assert not world.updates()
    assert not world.inoperative


@pytest.mark.requirement("S37")
async def test_no_plain_update_without_a_waiver(world: World) -> None:
    world.unsigned_only.add(CP)
    assert (await dispatch(world)).kind is DispatchKind.UNSUPPORTED

    world.chargers.profiles[VENDOR, MODEL] = ModelProfile(VENDOR, MODEL, unsafe_unsigned_waiver="bench, ada")
    plain = await dispatch(world)
    assert (plain.kind, plain.reason) == (
        DispatchKind.UNSUPPORTED,
        "an update without a signature goes over https only, not http",
    )
    assert not world.updates()

    world.base_url = "https://api"
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED
    [(_, command)] = world.updates(CP)
    assert command.signature is None


@pytest.mark.requirement("S34")
@pytest.mark.parametrize(("dialect", "longest"), [("ocpp1.6", 512), ("ocpp2.0.1", 512), ("ocpp2.1", 2000)])
async def test_an_address_that_the_protocol_cannot_carry_is_not_sent(
    world: World, dialect: str, longest: int
) -> None:
    """As a presigned address with a session token would be: 826 to 1,566 characters."""
    world._twin(CP, connectivity=ConnectivitySection(online=True, dialect=dialect))
    for length, kind in ((longest + 1, DispatchKind.UNSUPPORTED), (longest, DispatchKind.ACCEPTED)):
        world.base_url = "https://" + "b" * (length - len("https:///d/") - 44)
        answer = await dispatch(world)
        assert answer.kind is kind, answer.reason
    assert [len(command.location) for _, command in world.updates(CP)] == [longest]


@pytest.mark.requirement("F58")
async def test_nothing_is_sent_to_a_charger_that_cannot_fetch_it(world: World) -> None:
    profile = ModelProfile(VENDOR, MODEL, declared=Declared(transfers=("FTP", "SFTP")))
    world.chargers.profiles[VENDOR, MODEL] = profile
    answer = await dispatch(world)
    assert (answer.kind, answer.reason) == (
        DispatchKind.UNSUPPORTED,
        "it fetches by FTP, SFTP, and not by HTTP",
    )
    assert not world.updates()

    able = replace(profile, declared=Declared(transfers=("HTTP",)))
    world.chargers.profiles[VENDOR, MODEL] = able
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED


async def test_a_session_that_is_elsewhere_is_an_answer_not_an_error(world: World) -> None:
    answer = await dispatch(world, session_epoch=7)

    assert answer.kind is DispatchKind.GONE
    assert world.sent == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (AnswerStatus.ACCEPTED_CANCELED, DispatchKind.ACCEPTED),
        (AnswerStatus.REJECTED, DispatchKind.REFUSED),
        (AnswerStatus.INVALID_CERTIFICATE, DispatchKind.HALT),
        (AnswerStatus.REVOKED_CERTIFICATE, DispatchKind.HALT),
        (AnswerStatus.NOT_IMPLEMENTED, DispatchKind.UNSUPPORTED),
    ],
)
@pytest.mark.requirement("S38")
async def test_what_a_charger_answers(world: World, status: AnswerStatus, kind: DispatchKind) -> None:
    async def behave(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
        return CommandAnswer(status)

    world.default = behave
    answer = await dispatch(world)

    assert answer.kind is kind
    assert answer.drained is (kind is DispatchKind.ACCEPTED)
    assert ("security.dispatch_refused" in world.audit.actions()) is (kind is DispatchKind.HALT)


def _unavailable(*keys: str) -> OperationSection:
    return OperationSection(
        {
            f"1.{number}": ConnectorState(
                1,
                number,
                ConnectorStatus.UNAVAILABLE if f"1.{number}" in keys else ConnectorStatus.AVAILABLE,
                START,
            )
            for number in (1, 2)
        }
    )


@pytest.mark.requirement("X3")
async def test_availability_comes_back_exactly_as_it_was(world: World) -> None:
    world._twin(CP, operation=_unavailable("1.2"))
    answer = await dispatch(world)
    world.sent.clear()

    await conclude(world, out_of_service=answer.out_of_service)

    assert [command for _, command in world.sent] == [
        ChangeAvailability(operative=True),
        ChangeAvailability(operative=False, evse_id=1, connector_id=2),
    ]
    assert await target(world) == (TargetPhase.DONE, Outcome.UPDATED)
    assert CP not in world.leases.rows
    assert world.tickets.rows[0].revoked


@pytest.mark.requirement("X3")
@pytest.mark.parametrize("left", [_unavailable("1.1", "1.2"), _unavailable("1.2")])
async def test_what_we_left_out_of_service_is_not_taken_for_the_operators_will(
    world: World, left: OperationSection
) -> None:
    """It vanished after we drained it; now it reports our own doing, in whole or in part."""
    world.default = idle
    await dispatch(world)
    await world.campaigns.finish_target("c1", 0, CP, Outcome.SILENT, f"gone, {STILL_OUT}", START)
    world.leases.rows.clear()
    await world.add_campaign([[CP]], world.plan(), campaign_id="c2")
    await world.approve("c2")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    await signer.sign_directive(DirectiveOrder("c2", 0, 0, 1, 0, 500, 3600.0))
    world._twin(CP, operation=left)

    answer = await dispatch(world, campaign_id="c2")

    assert (answer.kind, answer.out_of_service, answer.drained) == (DispatchKind.ACCEPTED, (), True)


@pytest.mark.requirement("X3")
async def test_what_was_taken_is_remembered_before_the_charger_is_told(world: World) -> None:
    world._twin(CP, operation=_unavailable("1.2"))
    real, known = world.send, []

    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        row = await world.out_of_service.get(charger_id)
        known.append(row.before if row else None)
        return await real(charger_id, epoch, command, **more)  # type: ignore[arg-type]

    world.send = send  # type: ignore[method-assign,assignment]
    await dispatch(world)
    assert known == [("1.2",)] * 2

    await conclude(world)
    assert not world.out_of_service.rows


@pytest.mark.requirement("X3")
async def test_a_charger_that_cannot_be_drained_is_not_remembered_as_drained(world: World) -> None:
    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        return CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)

    world.send = send  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)

    assert (answer.kind, answer.drained) == (DispatchKind.UNSUPPORTED, False)
    assert not world.out_of_service.rows


@pytest.mark.requirement("X2")
async def test_a_charger_that_is_down_through_us_counts_at_its_site_without_a_lease(world: World) -> None:
    site = world.chargers.rows[CP].charger.site_id
    world.out_of_service.rows["other"] = OutOfService("other", site, (), START, "an update")

    answer = await dispatch(world)

    assert answer.kind is DispatchKind.NOT_NOW
    assert "1 of 1" in answer.reason
    assert world.sent == []


@pytest.mark.requirement("X3")
async def test_housekeeping_puts_back_what_nobody_works_on(world: World) -> None:
    await dispatch(world)
    activities = DispatchActivities(world.node)
    run = ActivityEnvironment().run

    assert not await run(activities.put_back_charger, PutBackInput(CP, 1)), "its update is going on"
    assert CP in world.inoperative
    world.leases.rows.clear()
    assert await run(activities.put_back_charger, PutBackInput(CP, 1))

    assert CP not in world.inoperative
    assert not world.out_of_service.rows
    assert "charger.put_back" in world.audit.actions()


def _of_run(run: str) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_run_id=run)
    return environment


@pytest.mark.requirement("X1", "X2", "S43")
async def test_a_run_that_is_over_touches_nothing_of_the_next(world: World) -> None:
    activities = DispatchActivities(world.node)
    first = RestoreInput(ConcludeInput("c1", 0, CP, 1, Outcome.FAILED, "late"), session_epoch=1)
    await _of_run("two").run(activities.dispatch_update, order(attempt=2))
    world.sent.clear()

    late = await _of_run("one").run(activities.dispatch_update, order())
    again = await _of_run("one").run(activities.dispatch_update, order(attempt=2))
    await _of_run("one").run(activities.conclude_update, first)
    reset = await _of_run("one").run(activities.reset_charger, ResetInput(CP, 1))

    assert (late.kind, again.kind, reset.accepted) == (DispatchKind.NOT_NOW, DispatchKind.NOT_NOW, False)
    assert world.sent == []
    assert world.leases.rows[CP].run == "two"
    assert CP in world.inoperative
    assert not world.tickets.rows[0].revoked
    assert await target(world) == (TargetPhase.CONFIRMING, None)


def _whole_out(*open_keys: str) -> OperationSection:
    """Connector 0 is out; connector 1 only if it is not named."""
    one = ConnectorStatus.AVAILABLE if "1.1" in open_keys else ConnectorStatus.UNAVAILABLE
    return OperationSection(
        {
            "0.0": ConnectorState(0, 0, ConnectorStatus.UNAVAILABLE, START),
            "1.1": ConnectorState(1, 1, one, START),
        }
    )


@pytest.mark.requirement("X3")
async def test_a_charger_that_is_closed_to_cars_stays_so(world: World) -> None:
    world._twin(CP, operation=_whole_out())

    answer = await dispatch(world)
    await conclude(world, out_of_service=answer.out_of_service)

    assert [type(command) for _, command in world.sent] == [UpdateFirmware]


@pytest.mark.requirement("X1", "X3")
async def test_a_whole_that_is_out_closes_no_connector_that_is_open(world: World) -> None:
    world._twin(CP, operation=_whole_out("1.1"))

    answer = await dispatch(world)
    await conclude(world, out_of_service=answer.out_of_service)

    drain, update, back = [command for _, command in world.sent]
    assert drain == ChangeAvailability(operative=False)
    assert isinstance(update, UpdateFirmware)
    assert back == ChangeAvailability(operative=True, evse_id=1, connector_id=1)


@pytest.mark.requirement("X1")
async def test_an_old_look_never_stands_in_for_the_drain(world: World) -> None:
    """It is sent again after somebody put the charger back into service."""
    answer = await dispatch(world, out_of_service=("0.0",))

    assert answer.drained
    assert world.sent[0][1] == ChangeAvailability(operative=False)


@pytest.mark.requirement("X1")
@pytest.mark.parametrize("look", [2, 3])
async def test_a_closed_charger_that_is_opened_meanwhile_is_seen(world: World, look: int) -> None:
    world._twin(CP, operation=_whole_out())
    settles = []

    def then_a_car_comes(charger_id: str) -> None:
        settles.append(charger_id)
        if len(settles) == look:
            world.plug_in(charger_id)

    world.on_settle = then_a_car_comes
    answer = await dispatch(world)

    assert (answer.kind, answer.for_session) == (DispatchKind.NOT_NOW, True)
    assert not world.updates()


@pytest.mark.requirement("X3")
@pytest.mark.parametrize(
    "trouble",
    [CommandAnswer(AnswerStatus.REJECTED), CallFailed(CP, "ChangeAvailability", "InternalError", "")],
)
async def test_a_charger_that_does_not_go_back_yet_is_asked_again(world: World, trouble: object) -> None:
    answer = await dispatch(world)
    real = world.send

    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        if isinstance(trouble, CallFailed):
            raise trouble
        assert isinstance(trouble, CommandAnswer)
        return trouble

    world.send = send  # type: ignore[method-assign,assignment]
    with pytest.raises(Exception, match="answered"):
        await conclude(world, out_of_service=answer.out_of_service)
    assert CP in world.leases.rows
    assert (await target(world))[0] is TargetPhase.CONFIRMING

    world.send = real  # type: ignore[method-assign]
    await conclude(world, out_of_service=answer.out_of_service)
    assert CP not in world.inoperative
    assert await target(world) == (TargetPhase.DONE, Outcome.UPDATED)


async def test_conclusion_that_cannot_reach_the_charger_leaves_the_books_open(world: World) -> None:
    await dispatch(world)

    with pytest.raises(Exception, match="not connected here") as error:
        await conclude(world, session_epoch=9)

    assert error.value.type == "NotConnectedHere"  # type: ignore[attr-defined]
    assert CP in world.leases.rows
    assert (await target(world))[0] is TargetPhase.CONFIRMING


async def installing(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    await world.report(charger_id, FirmwareStatus.INSTALLING, command.request_id)
    return CommandAnswer(AnswerStatus.ACCEPTED)


@pytest.mark.requirement("X1", "X3")
async def test_a_charger_that_is_still_installing_is_not_put_back_for_the_next_car(world: World) -> None:
    world.default = installing
    await dispatch(world)
    world.sent.clear()
    await conclude(world, end=ConcludeInput("c1", 0, CP, 1, Outcome.FAILED, "its time is over"))

    assert world.sent == []
    assert CP in world.out_of_service.rows
    assert CP not in world.leases.rows
    row = await world.campaigns.target("c1", 0, CP)
    assert (row.outcome, row.reason.endswith(STILL_AT_WORK)) == (Outcome.FAILED, True)


FELL_BACK = ConcludeInput("c1", 0, CP, 1, Outcome.FAILED, "it did not stay up: 9 boots in 540 s")


def steady(world: World) -> None:
    """The plan wants who was sent the update to stay up for a minute."""
    campaign = world.campaigns.rows["c1"]
    plan = replace(campaign.plan, pace=replace(campaign.plan.pace, steady_seconds=60.0))
    world.campaigns.rows["c1"] = replace(campaign, plan=plan)


async def loops(world: World) -> None:
    """It was sent the update, and has just booted once more."""
    steady(world)
    world.default = idle
    await dispatch(world)
    await world.boot(CP, "1.1")
    world.sent.clear()


@pytest.mark.requirement("X2", "X3")
async def test_a_charger_that_restarts_again_and_again_is_left_to_no_car(world: World) -> None:
    await loops(world)
    world.now += timedelta(seconds=59)
    await conclude(world, end=FELL_BACK)
    assert (world.sent, world.inoperative) == ([], {CP})
    assert CP not in world.leases.rows
    site = world.chargers.rows[CP].charger.site_id
    assert await world.leases.down([site]) == {site: 1}, "it counts as down at its site"
    row = await world.campaigns.target("c1", 0, CP)
    assert "until it has stayed up for 60 s: housekeeping puts it back then" in row.reason
    assert "mend it on site" in row.reason

    housekeeping, hands = ChargerActivities(world.stores), DispatchActivities(world.node)
    await world.boot(CP, "1.1")
    world.now += timedelta(seconds=60)
    await world.connects(CP)
    world.now += timedelta(seconds=59)
    assert await housekeeping.find_stranded() == (), "neither a boot nor a new session was 60 s ago"
    assert not await ActivityEnvironment().run(hands.put_back_charger, PutBackInput(CP, 1))
    assert CP in world.inoperative
    world.now += timedelta(seconds=2)
    assert [one.charger_id for one in await housekeeping.find_stranded()] == [CP]
    assert await ActivityEnvironment().run(hands.put_back_charger, PutBackInput(CP, 1))
    assert (world.inoperative, world.out_of_service.rows) == (set(), {})


@pytest.mark.requirement("X3")
async def test_a_charger_that_failed_and_stays_up_is_put_back_at_once(world: World) -> None:
    await loops(world)
    world.now += timedelta(seconds=61)
    await conclude(world, end=FELL_BACK)
    assert (world.inoperative, world.out_of_service.rows) == (set(), {})


@pytest.mark.requirement("X3")
async def test_one_to_which_nothing_was_sent_is_put_back_however_lately_it_came(world: World) -> None:
    steady(world)
    await world.boot(CP, "1.0")
    world.answers[ChangeAvailability] = CommandTimeout(CP, "ChangeAvailability", 15.0)
    assert (await dispatch(world)).drained, "nobody knows, and it could not be put back either"
    del world.answers[ChangeAvailability]
    await conclude(world, end=ConcludeInput("c1", 0, CP, 1, None, "it did not answer"))
    assert (world.inoperative, world.out_of_service.rows) == (set(), {})


@pytest.mark.requirement("X3")
async def test_a_next_attempt_that_sends_nothing_leaves_a_restless_charger_where_it_is(world: World) -> None:
    await loops(world)
    await world.boot(CP, "1.0")
    await conclude(world, end=replace(FELL_BACK, outcome=None))
    world.refused_proofs.add(CP)
    answer = await dispatch(world, attempt=2)
    assert (answer.kind, answer.drained) == (DispatchKind.HALT, False)
    assert CP in world.inoperative
    assert CP in world.out_of_service.rows


@pytest.mark.requirement("X2", "X3")
async def test_a_plan_that_asks_for_one_boot_leaves_whoever_loops_where_it_is(world: World) -> None:
    await loops(world)
    await world.add_campaign([[CP]], campaign_id="c2")
    await conclude(world, end=ConcludeInput("c2", 0, CP, 1, Outcome.UPDATED, "it booted with 1.1"))
    assert world.inoperative == {CP}
    row = await world.campaigns.target("c2", 0, CP)
    assert row.outcome is Outcome.UPDATED
    assert "until it has stayed up for 60 s" in row.reason


@pytest.mark.requirement("X3")
async def test_one_that_is_held_back_at_the_last_moment_goes_back_at_once(world: World) -> None:
    steady(world)
    await world.boot(CP, "1.0")

    async def stop() -> None:
        await world.campaigns.set_phase("c1", CampaignPhase.PAUSED, "", START)

    assert not (await _on_turn(world, stop)).drained
    assert (world.updates(), world.inoperative, world.out_of_service.rows) == ([], set(), {})


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("since", ["another session", "a boot", "nothing"])
async def test_the_node_has_the_last_word_on_who_stayed_up(world: World, since: str, taken: bool) -> None:
    steady(world)
    await dispatch(world)
    world.now += timedelta(seconds=61)
    if not taken:
        world.out_of_service.rows.clear()
    if since == "another session":
        world.routes.rows[CP] = replace(world.routes.rows[CP], session_epoch=2)
    if since == "a boot":
        await world.boot(CP, "1.1")
    end = ConcludeInput("c1", 0, CP, 1, Outcome.UPDATED, "it stayed up", stayed_seconds=60.0)
    if since == "nothing":
        await conclude(world, end=end)
        assert (await world.campaigns.target("c1", 0, CP)).outcome is Outcome.UPDATED
        return
    with pytest.raises(ApplicationError) as refused:
        await conclude(world, end=end)
    assert refused.value.type == {"a boot": "DidNotStayUp"}.get(since, "NotConnectedHere")
    assert (await world.campaigns.target("c1", 0, CP)).outcome is None
    assert (CP in world.inoperative) is True


@pytest.mark.requirement("X2", "X3")
async def test_whoever_loops_on_is_left_where_it_is_by_a_later_target_of_it_too(world: World) -> None:
    """The answer to the second target's drain was lost, so it has it put back, and sent it nothing."""
    await loops(world)
    await conclude(world, end=FELL_BACK)
    await world.add_campaign([[CP]], campaign_id="c2")
    await conclude(world, end=ConcludeInput("c2", 0, CP, 1, None, "it did not answer"))
    assert world.inoperative == {CP}


@pytest.mark.requirement("R17")
@pytest.mark.parametrize("seconds", [0, 2])
async def test_a_hold_that_comes_while_it_is_drained_holds_the_command_back(
    world: World, seconds: int
) -> None:
    async def hold(_: str, command: Command) -> None:
        if isinstance(command, UpdateFirmware):
            await world.upkeep.put_upkeep(Upkeep(CP, "cabinet open"))
            world.now += timedelta(seconds=seconds)

    world.on_turn = hold
    answer = await dispatch(world)
    assert bool(world.updates()) is (seconds == 0), "what was asked this very second is not asked again"
    if seconds:
        assert (answer.kind, answer.reason) == (DispatchKind.NOT_NOW, "it is on hold: cabinet open")
        assert CP not in world.inoperative


async def test_conclusion_is_written_into_the_audit_log_once(world: World) -> None:
    await dispatch(world)
    await conclude(world)
    await conclude(world)

    assert world.audit.actions().count("update.concluded") == 1


@pytest.mark.requirement("X1")
async def test_reset_waits_for_the_car(world: World) -> None:
    await dispatch(world)
    world.plug_in(CP)
    activities = DispatchActivities(world.node)
    busy = await ActivityEnvironment().run(activities.reset_charger, ResetInput(CP, 1))
    world.unplug_car(CP)
    free = await ActivityEnvironment().run(activities.reset_charger, ResetInput(CP, 1))

    assert (busy.accepted, free.accepted) == (False, True)
    assert sum(isinstance(command, Reset) for _, command in world.sent) == 1


async def test_a_lost_answer_to_the_drain_may_have_drained_it(world: World) -> None:
    async def send(charger_id: str, epoch: int, command: object, **more: Any) -> CommandAnswer:
        raise CommandTimeout(charger_id, "ChangeAvailability", 1)

    world.send = send  # type: ignore[method-assign,assignment]
    answer = await dispatch(world)

    assert (answer.kind, answer.drained) == (DispatchKind.NOT_NOW, True)


@pytest.mark.requirement("X4", "R18")
async def test_a_site_that_closed_since_the_look_is_not_sent_to(world: World) -> None:
    event = Closure(world.now + timedelta(minutes=5), world.now + timedelta(hours=2), ClosureKind.GRID, "x")
    await world.upkeep.put_closures([event])
    answer = await dispatch(world)
    assert answer.kind is DispatchKind.NOT_NOW
    assert "too short" in answer.reason, "the attempt could not end before"
    assert world.sent == []
    assert await world.leases.get(CP) is None


async def test_a_charger_that_somebody_holds_since_the_look_is_not_sent_to(world: World) -> None:
    await world.upkeep.put_upkeep(Upkeep(CP, "cabinet open"))
    answer = await dispatch(world)
    assert (answer.kind, answer.reason) == (DispatchKind.NOT_NOW, "it is on hold: cabinet open")
    assert world.sent == []


@pytest.mark.requirement("R32")
async def test_one_that_is_not_through_what_comes_first_is_not_even_drained(
    world: World,
) -> None:
    plan = replace(world.campaigns.rows["c1"].plan, after="c0")
    world.campaigns.rows["c1"] = replace(world.campaigns.rows["c1"], plan=plan)
    answer = await dispatch(world)
    assert (answer.kind, answer.reason) == (
        DispatchKind.NOT_NOW,
        "it has no part in campaign c0, which comes first",
    )
    assert world.sent == []
    way_back = replace(await world.campaigns.target("c1", 0, CP), wave=ROLLBACK_WAVE_BASE)
    assert await no_leave(world.stores, plan, way_back) is None, "what is bad goes back whatever comes first"


@pytest.mark.requirement("R18")
async def test_a_site_that_lost_its_time_zone_is_closed_to_plans_with_windows(world: World) -> None:
    plan = replace(world.campaigns.rows["c1"].plan, windows=(Window("00:00", "00:00"),))
    world.campaigns.rows["c1"] = replace(world.campaigns.rows["c1"], plan=plan)
    assert (await dispatch(world)).kind is DispatchKind.ACCEPTED, "open all day"
    site = world.chargers.rows["CP001"].charger.site_id
    world.chargers.site_rows[site] = replace(world.chargers.site_rows[site], time_zone="Mars/Olympus")
    why = await no_leave(world.stores, plan, await world.campaigns.target("c1", 1, "CP001"))
    assert "no time zone that is known (Mars/Olympus)" in (why or "")


@pytest.mark.requirement("X16")
async def test_the_lease_books_what_is_downloaded(world: World) -> None:
    await dispatch(world)
    assert (await world.leases.get(CP)).download_bytes == 1000


async def _on_turn(world: World, act: Any) -> DispatchAnswer:
    """Sent, with ``act`` done while the update waits for its turn behind another command."""

    async def turn(_: str, command: object) -> None:
        if isinstance(command, UpdateFirmware):
            await act()

    world.on_turn = turn
    return await dispatch(world)


@pytest.mark.requirement("F34", "F47")
@pytest.mark.parametrize("lifecycle", [Lifecycle.QUARANTINED, Lifecycle.RETIRING, Lifecycle.PROVISIONING])
async def test_one_that_is_set_aside_or_let_go_while_it_waits_for_its_turn_gets_no_update(
    world: World, lifecycle: Lifecycle
) -> None:
    async def leaves() -> None:
        await world.set_lifecycle(CP, lifecycle)

    answer = await _on_turn(world, leaves)

    assert (answer.kind, lifecycle.value in answer.reason) == (DispatchKind.NOT_NOW, True)
    assert not world.updates()
    assert not world.inoperative, "and it is back in service"
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at is None


@pytest.mark.requirement("X1", "R31")
@pytest.mark.parametrize("what", ["abort", "pause", "skip"])
async def test_whatever_stops_it_while_it_waits_for_its_turn_holds_it_back(world: World, what: str) -> None:
    async def stop() -> None:
        if what == "skip":
            await world.campaigns.finish_target("c1", 0, CP, Outcome.SKIPPED, "ada took it out", START)
        else:
            phase = CampaignPhase.ABORTING if what == "abort" else CampaignPhase.PAUSED
            await world.campaigns.set_phase("c1", phase, "", START)

    answer = await _on_turn(world, stop)

    assert answer.kind is DispatchKind.NOT_NOW
    assert not world.updates()
    assert not world.inoperative, "and it is back in service"
    assert world.audit.actions()[-1] == "update.withheld"


@pytest.mark.requirement("X1")
async def test_a_car_that_comes_to_a_drained_charger_while_the_command_waits_holds_it_back(
    world: World,
) -> None:
    async def car() -> None:
        world.plug_in(CP)

    answer = await _on_turn(world, car)

    assert (answer.kind, answer.for_session) == (DispatchKind.NOT_NOW, True)
    assert not world.updates()
    assert "update.dispatched" not in world.audit.actions()


async def test_a_turn_that_never_comes_has_sent_nothing(world: World) -> None:
    async def busy() -> None:
        raise CommandTimeout(CP, "UpdateFirmware", 1.0)

    answer = await _on_turn(world, busy)

    assert answer.kind is DispatchKind.NOT_NOW, "and not unknown, which would have to be waited for"
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at is None
