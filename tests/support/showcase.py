"""A believable fleet in the middle of a campaign, for looking at the dashboard and for its browser tests."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from api.ports import ApiLimits
from storage.artifact import ArtifactPhase, Compatible, SignOff, StagedRelease, VendorSignature
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    Outcome,
    Target,
    TargetPhase,
    VerdictWord,
    WavePlan,
)
from storage.canonical import digest, sha256_hex
from storage.charger import ChargerFilter, SignatureScheme, SiteLease
from storage.command import CommandEnd, CommandRecord, CommandState
from storage.events import ConnectorStatus, EventKind
from storage.log import LogRequest, LogSort, LogState, LogUpload
from storage.twin import ConfigurationSection, ConnectorState, OpenTransaction, OperationSection
from storage.upkeep import Booking, SiteRules
from tests.support.house import House

SITES = (
    "Harbour North", "Harbour South", "Central Station", "Airport P4", "Old Mill", "Stadium East",
    "Riverside Park", "Tech Campus", "Market Hall", "Hillview Estate", "Ring Road 12", "Opera",
)  # fmt: skip
MODELS = (
    ("Volta", "V22"), ("Amperix", "Quad 150"), ("Nordlade", "N-7"), ("Helix", "DC-50"),
    ("Gridline", "Wall 11"),
)  # fmt: skip
OUTCOMES = (
    (Outcome.UPDATED, "Booted after the command with 1.1.0."),
    (Outcome.UPDATED, "Booted after the command with 1.1.0."),
    (Outcome.UPDATED, "Booted after the command with 1.1.0."),
    (Outcome.FAILED, "Came back with 1.0.0 after Installed: it fell back."),
    (Outcome.DEFERRED, "A car was charging until the wave closed."),
)


def showcase(limits: ApiLimits | None = None) -> House:
    """60 chargers on 12 sites; one campaign in its second wave, one rolled back, one waiting."""
    house = House(limits=limits or ApiLimits())
    _fleet(house)
    good = house.add_artifact("1.1.0", counter=2, compatible=tuple(Compatible(*m) for m in MODELS))
    base = house.add_artifact("1.0.0", counter=1, uploaded_at=house.now - timedelta(days=90))
    bad = house.add_artifact("1.2.0", counter=3)
    _waiting_artifact(house)
    _running(house, good.artifact_id, base.artifact_id)
    _rolled_back(house, bad.artifact_id, good.artifact_id)
    _waiting(house, bad.artifact_id)
    _timeline(house)
    _asked(house)
    _ledger(house)
    return house


def _ledger(house: House) -> None:
    """Its site owes uptime, and it has spent most of what that allows; its configuration has long names."""
    view = house.chargers.all["CP-0000"]
    site = house.chargers.by_site[view.charger.site_id]
    rules = SiteRules(uptime_floor=0.97, uptime_days=30)
    house.chargers.by_site[site.site_id] = replace(site, rules=rules)
    now, day, hour = house.now, timedelta(days=1), timedelta(hours=1)
    house.upkeep.downtime["CP-0000"] = (
        Booking(now - 20 * day, now - 20 * day + 20 * hour, "update", "spring-release-1-1"),
        Booking(now - 9 * day, now - 9 * day + hour, "certificate"),
    )
    values = {
        "OCPPCommCtrlr.NetworkConfigurationPriorityOfThisStation": "1,0,2",
        "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,SmartCharging",
    }
    twin = replace(view.twin, configuration=ConfigurationSection(values, now))
    house.chargers.all["CP-0000"] = replace(view, twin=twin)


def _asked(house: House) -> None:
    """What people asked of the charger whose page is looked at."""
    ago = [house.now - timedelta(minutes=minutes) for minutes in (2, 9, 31, 240)]
    said = CommandEnd(CommandState.ANSWERED, "it answered Accepted", "Accepted")
    busy = CommandEnd(CommandState.BUSY, "session 8f1c is open on EVSE 1")
    rows: tuple[tuple[str, CommandEnd | None], ...] = (
        ("trigger", None),
        ("reset", busy),
        ("get-variables", said),
    )
    for number, (name, end) in enumerate(rows):
        record = CommandRecord(
            f"c{number}", "CP-0000", name, {}, "ab" * 32, "olga@example.org", ago[number], ago[number], end
        )
        house.commands.rows[record.command_id] = record
    upload = LogUpload(7, "logs/7/x", "CP-0000-security.log", 48_213, "cd" * 32, ago[3])
    house.logs.rows[7] = LogRequest(
        7,
        "CP-0000",
        LogSort.SECURITY,
        "sam@example.org",
        ago[3],
        ago[3],
        state=LogState.UPLOADED,
        reason="CP-0000-security.log arrived",
        upload=upload,
    )


def _fleet(house: House) -> None:
    for index, name in enumerate(SITES):
        house.add_site(name.lower().replace(" ", "-"), name, max_down=1 + index % 2)
    for number in range(60):
        site = SITES[(number * 7) % 12].lower().replace(" ", "-")
        vendor, model = MODELS[number % 5]
        version = "1.1.0" if number % 3 == 0 else "1.0.0"
        state = _STATES[number % len(_STATES)]
        house.add_charger(
            f"CP-{number:04}", site_id=site, vendor=vendor, model=model, version=version, **state
        )
        _give_session(house, f"CP-{number:04}", number)


_STATES: tuple[dict[str, Any], ...] = (
    {}, {"status": ConnectorStatus.OCCUPIED}, {}, {}, {"status": ConnectorStatus.OCCUPIED}, {}, {},
    {"status": ConnectorStatus.FAULTED}, {}, {"online": False}, {},
    {"status": ConnectorStatus.UNAVAILABLE}, {},
)  # fmt: skip


def _give_session(house: House, charger_id: str, number: int) -> None:
    view = house.chargers.all[charger_id]
    now = house.now
    if number % 13 == 1:
        connectors = {"1.1": ConnectorState(1, 1, ConnectorStatus.OCCUPIED, now)}
        session = OpenTransaction(f"tx-{number}", 1, 1, now - timedelta(minutes=34), now)
        operation = OperationSection(connectors, {session.transaction_id: session})
        view = replace(view, twin=replace(view.twin, operation=operation))
    if number % 20 == 5:
        lease = SiteLease(
            charger_id, view.charger.site_id, f"charger/{charger_id}", "update", now + timedelta(minutes=20)
        )
        view = replace(view, maintenance=lease)
    if number % 31 == 3:
        view = replace(view, last_message_at=now - timedelta(hours=2))
    house.chargers.all[charger_id] = view


def _waiting_artifact(house: House) -> None:
    artifact = house.add_artifact(
        "1.3.0-rc1",
        counter=4,
        vendor_role="amperix",
        phase=ArtifactPhase.AWAITING_SIGNATURES,
        reason="Inspected: everything holds. Waiting for 1 of 2 signatures.",
        compatible=(Compatible("Amperix", "Quad 150", ("B", "C")),),
        vendor_signatures=(
            VendorSignature(SignatureScheme.RSA_PSS, "bGFiZWw=", "-----BEGIN CERTIFICATE-----"),
        ),
        uploaded_at=house.now - timedelta(minutes=12),
    )
    payload = b'{"_type":"targets","version":7}'
    keys = tuple(sha256_hex(name.encode()) for name in ("ada", "grace", "edith"))
    staged = StagedRelease(artifact.artifact_id, "amperix", 7, payload, sha256_hex(payload), 2, keys)
    house.artifacts.stages[artifact.artifact_id] = staged
    signed = SignOff(
        artifact.artifact_id, staged.sha256, keys[0], "00", "ada", house.now - timedelta(minutes=4)
    )
    house.artifacts.signed.append(signed)


def _campaign(
    house: House, name: str, artifact_id: str, back: str | None, phase: CampaignPhase, reason: str
) -> str:
    waves = (
        WavePlan("canary", 0.1),
        WavePlan("early", 0.3),
        WavePlan("rest", 0.6, needs_approval=True),
    )
    plan = CampaignPlan(
        name, artifact_id, ChargerFilter(), waves, rollback_artifact_id=back, required_approvals=2
    )
    plan_digest = digest(plan)
    campaign_id = name.lower().replace(" ", "-").replace(".", "-")
    created = house.now - timedelta(hours=len(house.campaigns.all) + 1, minutes=20)
    approvals = tuple(
        Approval(who, created + timedelta(minutes=9 * n), plan_digest)
        for n, who in enumerate(("rita", "omar"), 1)
    )
    house.campaigns.all[campaign_id] = Campaign(
        campaign_id, plan, plan_digest, phase, "rita", created, 50, approvals, reason
    )
    house.campaigns.rows[campaign_id] = []
    house.campaigns.left_out[campaign_id] = []
    return campaign_id


def _targets(house: House, campaign_id: str, wave: int, numbers: range, settled: int) -> None:
    campaign = house.campaigns.all[campaign_id]
    for ordinal, number in enumerate(numbers):
        view = house.chargers.all[f"CP-{number:04}"]
        target = Target(
            campaign_id, wave, ordinal, view.charger.charger_id, view.charger.site_id,
            campaign.plan.artifact_id, "1.0.0", "1.1.0",
        )  # fmt: skip
        house.campaigns.rows[campaign_id].append(_progressed(house, target, ordinal, settled))


def _progressed(house: House, target: Target, ordinal: int, settled: int) -> Target:
    at = house.now - timedelta(minutes=max(1, 70 - 20 * target.wave - 2 * ordinal))
    if ordinal < settled:
        outcome, reason = OUTCOMES[0] if target.wave == 0 else OUTCOMES[ordinal % 5]
        return replace(
            target, phase=TargetPhase.DONE, outcome=outcome, reason=reason, attempt=1, finished_at=at,
            deferred_for_session=ordinal % 4 == 1,
        )  # fmt: skip
    if settled and ordinal < settled + 5:
        phase, reason = (
            (TargetPhase.DISPATCHED, "Accepted by the charger; waiting for its reboot."),
            (TargetPhase.CONFIRMING, "Installed; waiting for the boot that proves it."),
            (TargetPhase.WAITING, "Session tx-14 is open on EVSE 1."),
            (TargetPhase.WAITING, "Site budget: 1 of 1 chargers are away."),
            (TargetPhase.RESERVED, "Reserved; about to be sent."),
        )[ordinal - settled]
        return replace(
            target, phase=phase, reason=reason, attempt=1, dispatched_at=house.now - timedelta(minutes=2)
        )
    return target


def _decision(
    house: House, campaign_id: str, wave: int, word: VerdictWord, checks: list[tuple[str, str, str]]
) -> None:
    listed = [{"name": name, "word": said, "sentence": sentence} for name, said, sentence in checks]
    reason = next(sentence for _, said, sentence in checks if said == word.value)
    result = {"word": word.value, "reason": reason, "checks": listed}
    decision = Decision(
        campaign_id, wave, 0, house.now - timedelta(minutes=30), "gate", word, reason, {}, digest(checks),
        result, digest(result),
    )  # fmt: skip
    house.campaigns.verdicts.setdefault(campaign_id, []).append(decision)


def _running(house: House, artifact_id: str, back: str) -> None:
    name, reason = "Spring release 1.1", "Wave early is running: 12 of 15 chargers have an outcome."
    campaign_id = _campaign(house, name, artifact_id, back, CampaignPhase.RUNNING, reason)
    _targets(house, campaign_id, 0, range(5), 5)
    _targets(house, campaign_id, 1, range(5, 20), 10)
    _targets(house, campaign_id, 2, range(20, 50), 0)
    house.campaigns.left_out[campaign_id] = [
        (f"CP-{number:04}", "Its configuration section was never read.") for number in range(52, 55)
    ]
    _decision(
        house,
        campaign_id,
        0,
        VerdictWord.PROCEED,
        [
            ("security", "proceed", "Every verification held."),
            ("failures", "proceed", "0 of 5 attempts failed (at most 5 % may)."),
            ("sample", "proceed", "5 attempts are enough (at least 3)."),
            ("faulted", "proceed", "0 of 5 updated chargers are faulted, 3 of 45 of the others."),
        ],
    )
    _decision(
        house,
        campaign_id,
        1,
        VerdictWord.HOLD,
        [
            ("security", "proceed", "Every verification held."),
            ("finished", "hold", "3 chargers have no outcome yet."),
            ("failures", "proceed", "2 of 10 attempts failed (at most 25 % may)."),
        ],
    )


def _rolled_back(house: House, artifact_id: str, back: str) -> None:
    reason = (
        "The gate aborted: 4 of 5 attempts failed, more than 5 %. All 1 updated chargers are back on 1.1.0."
    )
    campaign_id = _campaign(house, "Summer release 1.2", artifact_id, back, CampaignPhase.ROLLED_BACK, reason)
    _targets(house, campaign_id, 0, range(5), 5)
    rows = house.campaigns.rows[campaign_id]
    for index in range(1, 5):
        rows[index] = replace(rows[index], outcome=Outcome.FAILED, reason="Boot loop: 3 boots in 2 minutes.")
    _targets(house, campaign_id, 1000, range(1), 1)
    rows[-1] = replace(rows[-1], outcome=Outcome.UPDATED, to_version="1.1.0", from_version="1.2.0")
    _decision(
        house,
        campaign_id,
        0,
        VerdictWord.ABORT,
        [
            ("security", "proceed", "Every verification held."),
            ("failures", "abort", "4 of 5 attempts failed, more than 5 %."),
        ],
    )


def _waiting(house: House, artifact_id: str) -> None:
    reason = "Waiting for 2 approvals of the plan."
    campaign_id = _campaign(
        house, "Night rollout", artifact_id, None, CampaignPhase.AWAITING_APPROVAL, reason
    )
    house.campaigns.all[campaign_id] = replace(house.campaigns.all[campaign_id], approvals=())
    _targets(house, campaign_id, 0, range(5), 0)


def _timeline(house: House) -> None:
    steps: tuple[tuple[EventKind, dict[str, Any]], ...] = (
        (EventKind.CONNECTION_OPENED, {"dialect": "ocpp2.0.1", "security_profile": 1, "node_id": "node-1"}),
        (EventKind.CHARGER_BOOTED, {"vendor": "Volta", "model": "V22", "firmware_version": "1.0.0"}),
        (EventKind.COMMAND_SENT, {"action": "UpdateFirmware", "message_id": "m-17", "request_id": 4711}),
        (
            EventKind.COMMAND_ANSWERED,
            {"action": "UpdateFirmware", "message_id": "m-17", "status": "Accepted"},
        ),
        (EventKind.FIRMWARE_STATUS_REPORTED, {"status": "Downloading", "request_id": 4711}),
        (EventKind.FIRMWARE_STATUS_REPORTED, {"status": "SignatureVerified", "request_id": 4711}),
        (EventKind.FIRMWARE_STATUS_REPORTED, {"status": "Installed", "request_id": 4711}),
        (EventKind.CHARGER_BOOTED, {"vendor": "Volta", "model": "V22", "firmware_version": "1.1.0"}),
    )
    for sequence, (kind, body) in enumerate(steps, start=1):
        house.add_event("CP-0000", kind, sequence, **body)
