"""Which workflows and activities each role registers. ``api.bootstrap`` makes workers of them."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.worker import UnsandboxedWorkflowRunner

from activities.artifacts import ArtifactActivities
from activities.blob_care import BlobCareActivities
from activities.campaigns import CampaignActivities
from activities.certificate_end import RevocationActivities
from activities.certificates import CertificateActivities
from activities.chargers import ChargerActivities
from activities.commissioning import CommissioningActivities
from activities.configuration import ConfigurationActivities
from activities.connection import ConnectionActivities, ConnectionSender
from activities.daily import DailyActivities
from activities.dispatch import DispatchActivities
from activities.fetching import FetchActivities
from activities.fleet import FleetActivities
from activities.halts import HaltActivities
from activities.health import HealthActivities
from activities.journal import JournalActivities
from activities.late_renewals import LateRenewalActivities
from activities.late_settings import LateActivities, LateSender
from activities.local_images import LocalImageActivities, LocalImageSender
from activities.log_keeping import LogKeepingActivities
from activities.logs import LogActivities, LogSender
from activities.metadata import CeremonyActivities, MetadataActivities
from activities.moves import MoveActivities
from activities.operator import CommandActivities, OperatorActivities
from activities.orders import Node
from activities.parking import ParkingActivities
from activities.provisioning import ProvisioningActivities
from activities.recovery import DoubtActivities, RecoveryActivities
from activities.release_evidence import EvidenceActivities
from activities.renewal import RenewalActivities, RenewalSender
from activities.renewals import FleetRenewalActivities
from activities.reprovisioning import ForgetSender, ReprovisionActivities
from activities.retention import RetentionActivities
from activities.retiring import RetirementActivities, RetirementSender, Revoke, nothing_issued
from activities.roots import RootSender, ShownSince
from activities.signer import SignerActivities
from activities.stores import Stores
from activities.testifying import Testifier, TestimonyActivities
from activities.twins import DriftPolicy, TwinActivities
from csms.ports import FindingKeeper
from signing.ports import ArtifactInspector, EvidenceJudge, ReleaseSigner
from storage.certificate import CertificateStore
from storage.ports import BlobStore
from storage.provisioning import ProvisioningStore
from storage.renewal import RenewalStore
from storage.retirement import RetirementStore
from storage.watching import IncidentStore, SessionStore
from workflows.bundle import BundleWorkflow
from workflows.campaign import FirmwareCampaignWorkflow
from workflows.certificate_desk import CertificateIssuanceWorkflow, CertificateRevocationWorkflow
from workflows.certificate_renewal import CertificateRenewalWorkflow
from workflows.certificate_watch import CertificateWatchWorkflow
from workflows.charger_command import ChargerCommandWorkflow
from workflows.charger_fetch import ChargerFetchWorkflow
from workflows.charger_update import ChargerUpdateWorkflow
from workflows.configuration import ConfigurationWorkflow
from workflows.connection_change import ConnectionChangeWorkflow
from workflows.decommission import DecommissionWorkflow
from workflows.housekeeping import HousekeepingWorkflow
from workflows.late_settings import LateSettingsWorkflow
from workflows.life_watch import LifeWatchWorkflow
from workflows.local_image import LocalImageWorkflow
from workflows.log_retrieval import LogRetrievalWorkflow
from workflows.move import MoveWorkflow
from workflows.passport import PassportWorkflow
from workflows.password_change import PasswordChangeWorkflow
from workflows.provisioning import ProvisioningWorkflow
from workflows.publish_artifact import PublishArtifactWorkflow
from workflows.publish_ceremony import PublishCeremonyWorkflow
from workflows.record_keeping import RecordKeepingWorkflow
from workflows.renewal import RenewalWorkflow
from workflows.reprovision import ReprovisionWorkflow
from workflows.root_change import RootChangeWorkflow
from workflows.session_watch import SessionWatchWorkflow
from workflows.shard import ShardWorkflow
from workflows.storage_care import StorageCareWorkflow
from workflows.wave import WaveWorkflow

Activities = Sequence[Callable[..., Any]]

RUNNER = UnsandboxedWorkflowRunner()
"""For production. A sandbox that takes our own modules as they are refuses next to nothing, and entering it
for every task and every payload was two fifths of a worker's time.

Tests and replays run in the full sandbox, which refuses clocks and chance in them.
"""

WORKFLOWS: tuple[type, ...] = (
    PublishArtifactWorkflow,
    PublishCeremonyWorkflow,
    FirmwareCampaignWorkflow,
    WaveWorkflow,
    ShardWorkflow,
    ChargerUpdateWorkflow,
    ChargerFetchWorkflow,
    LocalImageWorkflow,
    ChargerCommandWorkflow,
    LogRetrievalWorkflow,
    ConfigurationWorkflow,
    CertificateRenewalWorkflow,
    CertificateIssuanceWorkflow,
    CertificateRevocationWorkflow,
    CertificateWatchWorkflow,
    RenewalWorkflow,
    RootChangeWorkflow,
    ConnectionChangeWorkflow,
    PasswordChangeWorkflow,
    MoveWorkflow,
    ReprovisionWorkflow,
    DecommissionWorkflow,
    LifeWatchWorkflow,
    BundleWorkflow,
    PassportWorkflow,
    ProvisioningWorkflow,
    HousekeepingWorkflow,
    LateSettingsWorkflow,
    SessionWatchWorkflow,
    RecordKeepingWorkflow,
    StorageCareWorkflow,
)
"""All of them, for the worker role on ``storage.ids.TASK_QUEUE``."""


def worker_activities(  # noqa: PLR0913 - what the worker is handed, one by one
    stores: Stores,
    inspector: ArtifactInspector,
    journal: JournalActivities,
    log_keeping: LogKeepingActivities,
    sessions: SessionStore,
    drift: DriftPolicy | None = None,
    care: BlobCareActivities | None = None,
) -> Activities:
    """For the worker role, beside the workflows: they run as local activities, too."""
    campaigns, fleet = CampaignActivities(stores), FleetActivities(stores)
    chargers, artifacts = ChargerActivities(stores), ArtifactActivities(stores, inspector)
    people, logs = OperatorActivities(stores), LogActivities(stores)
    configuring, parking = ConfigurationActivities(stores), ParkingActivities(stores)
    twins = TwinActivities(stores, drift or DriftPolicy())
    return (
        campaigns.load_campaign,
        campaigns.set_campaign_phase,
        campaigns.record_approval,
        campaigns.record_decision,
        campaigns.close_targets,
        campaigns.skip_target,
        campaigns.extend_campaign,
        campaigns.recall_target,
        campaigns.add_rehearsal_targets,
        campaigns.add_rollback_targets,
        campaigns.measure_rollback,
        fleet.measure_eligibility,
        fleet.move_targets,
        fleet.measure_wave,
        fleet.measure_cohort,
        fleet.measure_attempts,
        HealthActivities(stores).measure_health,
        campaigns.skip_segment,
        chargers.resolve_route,
        chargers.reconcile_update,
        chargers.note_recall,
        chargers.wait_longer,
        chargers.close_update,
        chargers.sweep_leases,
        chargers.find_stranded,
        parking.note_haste,
        parking.conclude_fetch,
        parking.find_parked,
        journal.keep_journal,
        log_keeping.keep_logs,
        configuring.desire_values,
        configuring.find_deliverable,
        configuring.note_delivery,
        configuring.measure_job,
        configuring.close_job,
        twins.sweep_drift,
        twins.summarise_twins,
        artifacts.inspect_artifact,
        artifacts.set_artifact_phase,
        people.close_command,
        people.has_booted,
        people.end_absence,
        logs.reconcile_log,
        logs.conclude_log,
        DoubtActivities(sessions, stores.clock).find_doubtful_sessions,
        *((care.rehash_sample, care.sweep_leftovers) if care is not None else ()),
    )


def move_activities(moves: MoveActivities) -> Activities:
    """For the worker role, too: chargers that change hands or places."""
    return moves.apply_move, moves.note_move


def reprovision_activities(given: ReprovisionActivities) -> Activities:
    """For the worker role, too: chargers that go through provisioning again."""
    return (
        given.measure_reprovision,
        given.note_forgotten,
        given.note_reprovision_wait,
        given.refuse_reprovision,
        given.apply_reprovision,
        given.find_reprovisions,
    )


def local_image_activities(stores: Stores, blobs: BlobStore) -> Activities:
    """For the worker role, too: what local controllers offer at their sites."""
    local = LocalImageActivities(stores, blobs)
    return (
        local.open_local_image,
        local.reconcile_local_image,
        local.settle_local_image,
        local.count_local_targets,
    )


def metadata_activities(metadata: MetadataActivities) -> Activities:
    """For the worker role, too: what can be seen of the signed metadata without a key."""
    return (metadata.watch_metadata,)


def late_activities(stores: Stores, incidents: IncidentStore) -> Activities:
    """For the worker role, too: chargers that count as updated and were never compared."""
    late = LateActivities(stores, incidents)
    return late.find_late, late.settle_late


def node_activities(node: Node, keeper: FindingKeeper) -> Activities:
    """For a CSMS node, on ``storage.ids.node_queue(node_id, boot_id)``."""
    dispatch, fetching = DispatchActivities(node), FetchActivities(node)
    retiring, commissioning = RetirementSender(node), CommissioningActivities(node)
    local = LocalImageSender(node)
    recovery = RecoveryActivities(node.stores.chargers, node.sender, keeper, node.stores.clock)
    return (
        recovery.question_session,
        recovery.resolve_session,
        dispatch.dispatch_update,
        dispatch.reset_charger,
        dispatch.recall_update,
        dispatch.conclude_update,
        dispatch.put_back_charger,
        LateSender(node).compare_late,
        fetching.order_fetch,
        fetching.call_back_image,
        local.publish_locally,
        local.unpublish_locally,
        CommandActivities(node).send_command,
        LogSender(node).request_log,
        retiring.retire_step,
        retiring.cut_socket,
        ForgetSender(node).forget_step,
        commissioning.give_credential,
        commissioning.restart_parked,
        commissioning.read_parked,
        commissioning.set_parked,
        commissioning.question_parked,
        commissioning.welcome_charger,
    )


def renewal_activities(
    renewal: RenewalActivities,
    fleet: FleetRenewalActivities,
    connection: ConnectionActivities,
    revocation: RevocationActivities,
    late: LateRenewalActivities,
) -> Activities:
    """For the worker role, too: chargers' certificates and connections, what was seen and who is due."""
    return (
        connection.measure_connection,
        connection.note_connection,
        renewal.measure_renewal,
        renewal.release_renewal,
        fleet.load_renewal,
        fleet.find_renewable,
        fleet.note_attempt,
        fleet.measure_renewal_wave,
        fleet.close_renewal_wave,
        fleet.carry_renewal_wave,
        fleet.set_renewal_phase,
        fleet.find_open_requests,
        fleet.find_unsettled,
        fleet.plan_renewals,
        revocation.record_revocation,
        late.watch_late_renewals,
    )


def renewal_node_activities(
    node: Node, certificates: CertificateStore, renewals: RenewalStore, shown_since: ShownSince | None
) -> Activities:
    """For a CSMS node, too. ``shown_since`` None: TLS ends elsewhere."""
    return (
        RenewalSender(node, certificates).advance_renewal,
        RootSender(node, renewals, shown_since).change_root,
        ConnectionSender(node, certificates, renewals).advance_connection,
    )


def certificate_activities(certificates: CertificateActivities) -> Activities:
    """For the signer, too."""
    return (
        certificates.issue_certificate,
        certificates.issue_handed_in,
        certificates.settle_certificates,
        certificates.revoke_certificates,
        certificates.publish_revocations,
    )


def life_activities(
    stores: Stores,
    retirements: RetirementStore,
    enrolments: ProvisioningStore,
    revoke: Revoke = nothing_issued,
) -> Activities:
    """For the worker role too: how chargers begin and end."""
    provisioning = ProvisioningActivities(stores, enrolments)
    retiring = RetirementActivities(stores, retirements, revoke)
    return (
        retiring.measure_retirement,
        retiring.note_step,
        retiring.note_wait,
        retiring.leave_campaigns,
        retiring.open_log,
        retiring.measure_log,
        retiring.revoke_certificates,
        retiring.bury_charger,
        retiring.find_retiring,
        retiring.find_unwelcome,
        provisioning.find_enrolments,
        provisioning.measure_enrolment,
        provisioning.move_enrolment,
        provisioning.postpone_enrolment,
        provisioning.plan_values,
        provisioning.note_values,
        provisioning.examine_charger,
    )


def testimony_activities(stores: Stores, retirements: RetirementStore, desk: Testifier) -> Activities:
    """For the signer too: what it testifies of chargers."""
    return (TestimonyActivities(stores, retirements, desk).sign_receipt,)


def record_activities(stores: Stores, daily: DailyActivities, retention: RetentionActivities) -> Activities:
    """For the worker role too: halts on record, files of each day, and the end of what had its time."""
    return (HaltActivities(stores).record_halts, daily.export_days, retention.remove_outlived)


def signer_activities(
    stores: Stores,
    signer: ReleaseSigner,
    new_nonce: Callable[[], str],
    *,
    desk: EvidenceJudge,
    blobs: BlobStore | None = None,
) -> Activities:
    """For the signer, on ``storage.ids.SIGNER_QUEUE``. ``new_nonce``: at least 16 random characters."""
    signing = SignerActivities(stores, signer, new_nonce, desk)
    return (
        EvidenceActivities(stores, desk).judge_evidence,
        signing.stage_release,
        signing.compare_staged,
        signing.check_sign_off,
        signing.publish_release,
        signing.sign_directive,
        signing.refresh_metadata,
        *((CeremonyActivities(stores, blobs, signer, signing.refusals).conclude_ceremony,) if blobs else ()),
    )
