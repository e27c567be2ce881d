"""Every table, in SQLAlchemy Core. The migrations must produce exactly this; a test compares them.

Conventions: identities compare bytewise (collation C); times are ``timestamptz``; JSON that is
queried is ``jsonb``; JSON whose bytes were hashed is ``json``, which keeps the text as written.
Nothing that changes often is indexed, so that hot updates stay on their page (heap-only tuples).
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON, JSONB

from storage.postgres import certificate_tables
from storage.postgres.artifact_tables import artifact, sign_off, staged_release
from storage.postgres.columns import ROOMY, flag, metadata, name, time, words
from storage.postgres.execution_tables import (
    campaign_wave,
    charger_penalty,
    local_image,
    parked_image,
    update_kept,
)
from storage.postgres.lease_tables import listening, out_of_service, site_lease
from storage.postgres.life_tables import credential_past, enrolment, retirement, tombstone
from storage.postgres.notice_tables import notice, webhook, webhook_delivery
from storage.postgres.operator_tables import (
    log_request,
    log_upload,
    operator_command,
    request_key,
    upload_ticket,
)
from storage.postgres.people_tables import audit, audit_head, token
from storage.postgres.record_tables import halt, halt_vote
from storage.postgres.registry_tables import charger_move, identifier, trust_memory
from storage.postgres.transfer_tables import (
    artifact_upload,
    artifact_upload_piece,
    blob_check,
    download,
    download_ticket,
)
from storage.postgres.twin_tables import (
    anomaly,
    configuration,
    configuration_line,
    drift,
    drift_judged,
    twin,
    twin_history,
    twin_section,
    twin_snapshot,
    twin_summarised,
)
from storage.postgres.upkeep_tables import charger_upkeep, closure, downtime, metering
from storage.postgres.watch_tables import (
    campaign_forecast,
    charging_session,
    health_hour,
    health_memory,
    incident,
    projection,
    service_day,
    service_memory,
)

__all__ = [
    "anomaly",
    "artifact",
    "artifact_upload",
    "artifact_upload_piece",
    "audit",
    "audit_head",
    "blob_check",
    "campaign_forecast",
    "campaign_wave",
    "certificate_tables",
    "charger_move",
    "charger_penalty",
    "charger_upkeep",
    "charging_session",
    "closure",
    "configuration",
    "configuration_line",
    "credential_past",
    "download",
    "download_ticket",
    "downtime",
    "drift",
    "drift_judged",
    "enrolment",
    "halt",
    "halt_vote",
    "health_hour",
    "health_memory",
    "identifier",
    "incident",
    "listening",
    "local_image",
    "log_request",
    "log_upload",
    "metadata",
    "metering",
    "notice",
    "operator_command",
    "out_of_service",
    "parked_image",
    "projection",
    "request_key",
    "retirement",
    "service_day",
    "service_memory",
    "sign_off",
    "site_lease",
    "staged_release",
    "token",
    "tombstone",
    "trust_memory",
    "twin",
    "twin_history",
    "twin_section",
    "twin_snapshot",
    "twin_summarised",
    "update_kept",
    "upload_ticket",
    "webhook",
    "webhook_delivery",
]

event_sequence = sa.Sequence("event_sequence", metadata=metadata)
frame_number = sa.Sequence("frame_number", metadata=metadata)
request_id_sequence = sa.Sequence("request_id", maxvalue=2_147_483_647, metadata=metadata)
"""OCPP's requestId is a 32-bit integer; numbers are never used twice."""

# --- the fleet ---------------------------------------------------------------------------------

site = sa.Table(
    "site",
    metadata,
    name("site_id", primary_key=True),
    words("name"),
    words("time_zone"),
    sa.Column("max_down", sa.Integer, nullable=False),
    sa.Column("rules", JSONB, nullable=False, server_default=sa.text("'{}'")),
    sa.CheckConstraint("max_down >= 0", name="max_down"),
)

model_profile = sa.Table(
    "model_profile",
    metadata,
    name("vendor"),
    name("model"),
    words("signature_scheme"),
    words("unsafe_unsigned_waiver", nullable=True),
    flag("needs_reset_after_install"),
    sa.Column("reboot_seconds", sa.Integer, nullable=False),
    words("veto_variable", nullable=True),
    words("veto_value", nullable=True),
    sa.Column("declared", JSONB, nullable=False, server_default=sa.text("'{}'")),
    sa.PrimaryKeyConstraint("vendor", "model"),
)

charger = sa.Table(
    "charger",
    metadata,
    name("charger_id", primary_key=True),
    name("site_id", sa.ForeignKey("site.site_id"), index=True),
    name("vendor"),
    name("model"),
    words("lifecycle"),
    words("serial_number", nullable=True),
    words("hardware_revision", nullable=True),
    time("registered_at", nullable=True),
    sa.Column("security_floor", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("identity_version", sa.BigInteger, nullable=False, server_default=sa.text("1")),
    words("operator", nullable=True),
    words("site_group", nullable=True),
    words("location", nullable=True),
    words("installer", nullable=True),
    sa.Column("ownership_version", sa.BigInteger, nullable=False, server_default=sa.text("1")),
    sa.Index(None, "vendor", "model"),
    sa.Index(None, "serial_number"),
)

charger_credential = sa.Table(
    "charger_credential",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    sa.Column("secret_hmac", sa.LargeBinary, nullable=False, index=True),
    time("created_at"),
    sa.Column("pending_hmac", sa.LargeBinary),
    time("pending_since", nullable=True),
)
"""Not unique by a constraint: a password that two chargers shared before must not stop an upgrade."""

charger_route = sa.Table(
    "charger_route",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id"), primary_key=True),
    sa.Column("session_epoch", sa.BigInteger, nullable=False),
    time("lease_until", nullable=True),
    name("node_id"),
    name("boot_id"),
    words("dialect"),
    postgresql_with=ROOMY,
)
"""A released route keeps its row with ``lease_until`` null, so that the epoch never goes back."""

# --- what happened -----------------------------------------------------------------------------

frame = sa.Table(
    "frame",
    metadata,
    time("at"),
    sa.Column("frame_id", sa.BigInteger, server_default=frame_number.next_value(), nullable=False),
    sa.Column("session_epoch", sa.BigInteger, nullable=False),
    name("charger_id"),
    name("direction"),
    words("text"),
    words("answer", nullable=True),
    sa.Index("ix_frame_charger_id_at", "charger_id", "at"),
    postgresql_partition_by="RANGE (at)",
)
"""The journal, cut by days (``storage.postgres.partitions``); what fits none falls into ``frame_default``.

No key: a row is never looked up by number, and an index that nobody reads costs as much as the row.
``answer`` is what we answered to ``text``, so that an exchange is one row. ``frame_id`` orders what came
in the same microsecond."""

event = sa.Table(
    "event",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("session_epoch", sa.BigInteger, nullable=False),
    time("observed_at"),
    time("received_at"),
    name("charger_id"),
    name("kind"),
    name("dedupe_key", nullable=True),
    sa.Column("body", JSONB, nullable=False),
    sa.Index("ix_event_timeline", "charger_id", "received_at", "sequence"),
)
sa.Index(
    "uq_event_dedupe",
    event.c.charger_id,
    event.c.dedupe_key,
    unique=True,
    postgresql_where=event.c.dedupe_key.is_not(None),
)
"""No foreign key: a stranger's refused connection is an event too."""
sa.Index(
    "ix_event_signing_requested",
    event.c.received_at,
    event.c.sequence,
    postgresql_where=event.c.kind == "certificate_signing_requested",
)

transaction_id = sa.Table(
    "transaction_id",
    metadata,
    sa.Column("transaction_id", sa.Integer, sa.Identity(always=True), primary_key=True),
    name("charger_id"),
    name("start_key"),
    sa.UniqueConstraint("charger_id", "start_key"),
)
"""The session ids that OCPP 1.6 has us allot."""

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("outbox_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("sequence", sa.BigInteger, sa.ForeignKey("event.sequence", ondelete="CASCADE"), nullable=False),
    sa.Column("session_epoch", sa.BigInteger, nullable=False),
    name("charger_id"),
    name("workflow_id"),
    name("node_id"),
    name("boot_id"),
    sa.Index(None, "charger_id", "outbox_id"),
)

# --- campaigns ---------------------------------------------------------------------------------

campaign = sa.Table(
    "campaign",
    metadata,
    name("campaign_id", primary_key=True),
    sa.Column("plan", JSON, nullable=False),
    name("plan_digest"),
    words("phase"),
    words("reason"),
    words("created_by"),
    time("created_at"),
    time("finished_at", nullable=True),
    sa.Column("cohort_size", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default=sa.text("500")),
    time("ends_at", nullable=True),
    sa.Index(None, "created_at", "campaign_id"),
)

campaign_approval = sa.Table(
    "campaign_approval",
    metadata,
    name("campaign_id", sa.ForeignKey("campaign.campaign_id")),
    name("actor"),
    name("plan_digest"),
    time("at"),
    words("evidence", default=""),
    sa.PrimaryKeyConstraint("campaign_id", "actor", "plan_digest"),
)

campaign_target = sa.Table(
    "campaign_target",
    metadata,
    name("campaign_id", sa.ForeignKey("campaign.campaign_id")),
    sa.Column("wave", sa.Integer),
    sa.Column("ordinal", sa.Integer, nullable=False),
    name("charger_id"),
    name("site_id"),
    name("artifact_id"),
    words("from_version", nullable=True),
    words("to_version"),
    words("phase"),
    words("outcome", nullable=True),
    words("reason"),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("request_id", sa.BigInteger),
    time("dispatched_at", nullable=True),
    time("finished_at", nullable=True),
    flag("deferred_for_session"),
    words("recalled", default=""),
    words("fell_back_to", nullable=True),
    sa.PrimaryKeyConstraint("campaign_id", "wave", "charger_id"),
    sa.UniqueConstraint("campaign_id", "wave", "ordinal"),
    postgresql_with=ROOMY,
)

sa.Index(
    "ix_campaign_target_finished",
    campaign_target.c.charger_id,
    campaign_target.c.finished_at,
    postgresql_where=campaign_target.c.finished_at.is_not(None),
)
sa.Index(
    "ix_campaign_target_open",
    campaign_target.c.charger_id,
    postgresql_where=campaign_target.c.finished_at.is_(None),
)

sa.Index(
    "ix_campaign_target_latest",
    campaign_target.c.campaign_id,
    campaign_target.c.charger_id,
    campaign_target.c.wave,
)

campaign_exclusion = sa.Table(
    "campaign_exclusion",
    metadata,
    name("campaign_id", sa.ForeignKey("campaign.campaign_id")),
    name("charger_id"),
    words("reason"),
    sa.PrimaryKeyConstraint("campaign_id", "charger_id"),
)

decision = sa.Table(
    "decision",
    metadata,
    name("campaign_id", sa.ForeignKey("campaign.campaign_id")),
    sa.Column("wave", sa.Integer),
    sa.Column("look", sa.Integer),
    name("kind"),
    time("decided_at"),
    words("verdict"),
    words("reason"),
    sa.Column("inputs", JSON, nullable=False),
    name("inputs_sha256"),
    sa.Column("result", JSON, nullable=False),
    name("result_sha256"),
    sa.PrimaryKeyConstraint("campaign_id", "wave", "look", "kind"),
)

directive = sa.Table(
    "directive",
    metadata,
    name("directive_id", primary_key=True),
    sa.Column("added", sa.BigInteger, sa.Identity(always=True), nullable=False),
    name("campaign_id", sa.ForeignKey("campaign.campaign_id")),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Index(None, "campaign_id", "wave", "shard", "added"),
)

directive_use = sa.Table(
    "directive_use",
    metadata,
    name("directive_id", sa.ForeignKey("directive.directive_id")),
    name("charger_id"),
    sa.Column("request_id", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("directive_id", "charger_id"),
)
