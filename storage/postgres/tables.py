"""Every table, in SQLAlchemy Core. The migrations must produce exactly this; a test compares them.

Conventions: identities compare bytewise (collation C); times are ``timestamptz``; JSON that is
queried is ``jsonb``; JSON whose bytes were hashed is ``json``, which keeps the text as written.
Nothing that changes often is indexed, so that hot updates stay on their page (heap-only tuples).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy import Sequence as DatabaseSequence
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from storage.postgres.columns import NAMING, ROOMY, flag, name, time, words

metadata = MetaData(naming_convention=NAMING)

event_sequence = DatabaseSequence("event_sequence", metadata=metadata)
frame_number = DatabaseSequence("frame_number", metadata=metadata)
request_id_sequence = DatabaseSequence("request_id", maxvalue=2_147_483_647, metadata=metadata)
"""OCPP's requestId is a 32-bit integer; numbers are never used twice."""

# --- the fleet ---------------------------------------------------------------------------------

site = Table(
    "site",
    metadata,
    name("site_id", primary_key=True),
    words("name"),
    words("time_zone"),
    Column("max_down", Integer, nullable=False),
    CheckConstraint("max_down >= 0", name="max_down"),
)

model_profile = Table(
    "model_profile",
    metadata,
    name("vendor"),
    name("model"),
    words("signature_scheme"),
    words("unsafe_unsigned_waiver", nullable=True),
    flag("needs_reset_after_install"),
    Column("reboot_seconds", Integer, nullable=False),
    PrimaryKeyConstraint("vendor", "model"),
)

charger = Table(
    "charger",
    metadata,
    name("charger_id", primary_key=True),
    name("site_id", ForeignKey("site.site_id"), index=True),
    name("vendor"),
    name("model"),
    words("lifecycle"),
    words("serial_number", nullable=True),
    words("hardware_revision", nullable=True),
    time("registered_at", nullable=True),
    Index(None, "vendor", "model"),
)

charger_credential = Table(
    "charger_credential",
    metadata,
    name("charger_id", ForeignKey("charger.charger_id"), primary_key=True),
    Column("secret_hmac", LargeBinary, nullable=False),
    time("created_at"),
)

charger_route = Table(
    "charger_route",
    metadata,
    name("charger_id", ForeignKey("charger.charger_id"), primary_key=True),
    Column("session_epoch", BigInteger, nullable=False),
    time("lease_until", nullable=True),
    name("node_id"),
    name("boot_id"),
    words("dialect"),
    postgresql_with=ROOMY,
)
"""A released route keeps its row with ``lease_until`` null, so that the epoch never goes back."""

site_lease = Table(
    "site_lease",
    metadata,
    name("charger_id", ForeignKey("charger.charger_id"), primary_key=True),
    name("site_id", ForeignKey("site.site_id"), index=True),
    name("workflow_id"),
    words("kind"),
    time("expires_at"),
    Column("request_id", BigInteger),
    Column("wake_on", ARRAY(Text), nullable=False),
)

# --- the twin ----------------------------------------------------------------------------------

twin = Table(
    "twin",
    metadata,
    name("charger_id", ForeignKey("charger.charger_id"), primary_key=True),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    time("last_message_at", nullable=True),
    flag("online"),
    flag("charging"),
    flag("faulted"),
    words("firmware_version", nullable=True),
    postgresql_with=ROOMY,
)
"""The flags and the version repeat what the sections say, written in the same statement, for
filters and counts over the whole fleet."""

twin_section = Table(
    "twin_section",
    metadata,
    name("charger_id", ForeignKey("twin.charger_id")),
    name("name"),
    Column("reported", JSONB),
    Column("reported_version", BigInteger, nullable=False, server_default=text("0")),
    Column("desired", JSONB),
    Column("desired_version", BigInteger),
    Column("acked_version", BigInteger),
    words("ack_status", nullable=True),
    PrimaryKeyConstraint("charger_id", "name"),
    postgresql_with=ROOMY,
)

twin_history = Table(
    "twin_history",
    metadata,
    name("charger_id"),
    Column("revision", BigInteger),
    time("observed_at"),
    time("received_at"),
    name("section"),
    name("side", server_default=text("'reported'")),
    words("actor"),
    words("cause"),
    Column("patch", JSONB, nullable=False),
    PrimaryKeyConstraint("charger_id", "revision", "section", "side"),
)
"""One row for each section that an event (or, later, a person) changed; ``patch`` is an RFC 7396
merge patch from the revision before."""

# --- what happened -----------------------------------------------------------------------------

frame = Table(
    "frame",
    metadata,
    time("at"),
    Column("frame_id", BigInteger, server_default=frame_number.next_value()),
    Column("session_epoch", BigInteger, nullable=False),
    name("charger_id"),
    name("direction"),
    words("text"),
    PrimaryKeyConstraint("charger_id", "at", "frame_id"),
    postgresql_partition_by="RANGE (at)",
)
"""The journal. Rows fall into ``frame_default`` until an operator cuts partitions by time."""

event = Table(
    "event",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("session_epoch", BigInteger, nullable=False),
    time("observed_at"),
    time("received_at"),
    name("charger_id"),
    name("kind"),
    name("dedupe_key", nullable=True),
    Column("body", JSONB, nullable=False),
    Index("ix_event_timeline", "charger_id", "received_at", "sequence"),
)
Index(
    "uq_event_dedupe",
    event.c.charger_id,
    event.c.dedupe_key,
    unique=True,
    postgresql_where=event.c.dedupe_key.is_not(None),
)
"""No foreign key: a stranger's refused connection is an event too."""

transaction_id = Table(
    "transaction_id",
    metadata,
    Column("transaction_id", Integer, Identity(always=True), primary_key=True),
    name("charger_id"),
    name("start_key"),
    UniqueConstraint("charger_id", "start_key"),
)
"""The session ids that OCPP 1.6 has us allot."""

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", BigInteger, Identity(always=True), primary_key=True),
    Column("sequence", BigInteger, ForeignKey("event.sequence", ondelete="CASCADE"), nullable=False),
    Column("session_epoch", BigInteger, nullable=False),
    name("charger_id"),
    name("workflow_id"),
    name("node_id"),
    name("boot_id"),
    Index(None, "charger_id", "outbox_id"),
)

# --- artifacts ---------------------------------------------------------------------------------

artifact = Table(
    "artifact",
    metadata,
    name("artifact_id", primary_key=True),
    name("vendor_role"),
    name("version"),
    Column("release_counter", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("compatible", JSONB, nullable=False),
    Column("vendor_signatures", JSON, nullable=False),
    words("phase"),
    words("reason"),
    words("filename"),
    words("uploaded_by"),
    time("uploaded_at"),
    UniqueConstraint("vendor_role", "version"),
    Index(None, "uploaded_at", "artifact_id"),
)

staged_release = Table(
    "staged_release",
    metadata,
    name("artifact_id", ForeignKey("artifact.artifact_id"), primary_key=True),
    name("role"),
    Column("version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    name("sha256"),
    Column("threshold", SmallInteger, nullable=False),
    Column("keyids", ARRAY(Text), nullable=False),
)

sign_off = Table(
    "sign_off",
    metadata,
    name("artifact_id", ForeignKey("artifact.artifact_id")),
    name("staged_sha256"),
    name("keyid"),
    words("signature"),
    words("signer"),
    time("signed_at"),
    PrimaryKeyConstraint("artifact_id", "staged_sha256", "keyid"),
)

# --- campaigns ---------------------------------------------------------------------------------

campaign = Table(
    "campaign",
    metadata,
    name("campaign_id", primary_key=True),
    Column("plan", JSON, nullable=False),
    name("plan_digest"),
    words("phase"),
    words("reason"),
    words("created_by"),
    time("created_at"),
    time("finished_at", nullable=True),
    Column("cohort_size", Integer, nullable=False),
    Index(None, "created_at", "campaign_id"),
)

campaign_approval = Table(
    "campaign_approval",
    metadata,
    name("campaign_id", ForeignKey("campaign.campaign_id")),
    name("actor"),
    name("plan_digest"),
    time("at"),
    PrimaryKeyConstraint("campaign_id", "actor", "plan_digest"),
)

campaign_target = Table(
    "campaign_target",
    metadata,
    name("campaign_id", ForeignKey("campaign.campaign_id")),
    Column("wave", Integer),
    Column("ordinal", Integer, nullable=False),
    name("charger_id"),
    name("site_id"),
    name("artifact_id"),
    words("from_version", nullable=True),
    words("to_version"),
    words("phase"),
    words("outcome", nullable=True),
    words("reason"),
    Column("attempt", Integer, nullable=False),
    Column("request_id", BigInteger),
    time("dispatched_at", nullable=True),
    time("finished_at", nullable=True),
    flag("deferred_for_session"),
    PrimaryKeyConstraint("campaign_id", "wave", "charger_id"),
    UniqueConstraint("campaign_id", "wave", "ordinal"),
    postgresql_with=ROOMY,
)

Index(
    "ix_campaign_target_finished",
    campaign_target.c.charger_id,
    campaign_target.c.finished_at,
    postgresql_where=campaign_target.c.finished_at.is_not(None),
)

campaign_exclusion = Table(
    "campaign_exclusion",
    metadata,
    name("campaign_id", ForeignKey("campaign.campaign_id")),
    name("charger_id"),
    words("reason"),
    PrimaryKeyConstraint("campaign_id", "charger_id"),
)

decision = Table(
    "decision",
    metadata,
    name("campaign_id", ForeignKey("campaign.campaign_id")),
    Column("wave", Integer),
    Column("look", Integer),
    name("kind"),
    time("decided_at"),
    words("verdict"),
    words("reason"),
    Column("inputs", JSON, nullable=False),
    name("inputs_sha256"),
    Column("result", JSON, nullable=False),
    name("result_sha256"),
    PrimaryKeyConstraint("campaign_id", "wave", "look", "kind"),
)

directive = Table(
    "directive",
    metadata,
    name("directive_id", primary_key=True),
    Column("added", BigInteger, Identity(always=True), nullable=False),
    name("campaign_id", ForeignKey("campaign.campaign_id")),
    Column("wave", Integer, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index(None, "campaign_id", "wave", "shard", "added"),
)

directive_use = Table(
    "directive_use",
    metadata,
    name("directive_id", ForeignKey("directive.directive_id")),
    name("charger_id"),
    Column("request_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("directive_id", "charger_id"),
)

download_ticket = Table(
    "download_ticket",
    metadata,
    name("ticket_sha256", primary_key=True),
    name("charger_id", index=True),
    name("artifact_sha256"),
    time("not_before"),
    time("expires_at"),
    flag("revoked"),
)

# --- people ------------------------------------------------------------------------------------

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    time("at"),
    words("actor"),
    words("action"),
    words("subject"),
    Column("detail", JSON, nullable=False),
    name("previous_hash", unique=True),
    name("row_hash"),
)
"""Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("singleton", Boolean, primary_key=True, server_default=text("true")),
    Column("number", BigInteger, nullable=False),
    name("row_hash"),
    CheckConstraint("singleton", name="one_row"),
)
"""The one row that appenders lock, so that the chain never forks."""

token = Table(
    "token",
    metadata,
    name("token_id", primary_key=True),
    name("secret_sha256", unique=True),
    words("name"),
    words("role"),
    time("created_at"),
    time("expires_at", nullable=True),
    time("revoked_at", nullable=True),
)
