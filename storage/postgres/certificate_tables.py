"""Certificates of chargers and their renewal; part of ``tables``, where the rules are written."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from storage.postgres.columns import ROOMY, flag, metadata, name, time, words

certificate = sa.Table(
    "certificate",
    metadata,
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    name("serial"),
    name("issuer"),
    name("key_sha256"),
    words("chain"),
    time("not_before"),
    time("not_after"),
    time("issued_at"),
    words("issued_by"),
    words("phase"),
    time("delivered_at", nullable=True),
    time("proven_at", nullable=True),
    time("revoked_at", nullable=True),
    words("reason"),
    sa.Column("request", sa.BigInteger),
    sa.PrimaryKeyConstraint("charger_id", "serial"),
    sa.Index("ix_certificate_ends", "not_after", "charger_id", "serial"),
    sa.Index("ix_certificate_serial", "serial"),
    sa.Index("ix_certificate_issuer", "issuer", "not_after"),
)
sa.Index(
    "uq_certificate_key",
    certificate.c.charger_id,
    certificate.c.key_sha256,
    unique=True,
    postgresql_where=certificate.c.key_sha256 != "",
)
sa.Index("ix_certificate_key_sha256", certificate.c.key_sha256)
sa.Index(
    "ix_certificate_revoked",
    certificate.c.revoked_at,
    postgresql_where=certificate.c.revoked_at.is_not(None),
)
"""Of one key of one charger there is one certificate, however often it is asked for."""

certificate_request = sa.Table(
    "certificate_request",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    name("charger_id"),
    words("state"),
    sa.Column("reasons", ARRAY(sa.Text), nullable=False),
    time("at"),
)
"""How a signing request was answered; the request itself is an event."""

revocation_list = sa.Table(
    "revocation_list",
    metadata,
    name("issuer", primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    time("this_update"),
    time("next_update"),
    flag("former"),
)
"""One of each issuer: a former one signs for what it issued until the last of it has ended."""

status_answer = sa.Table(
    "status_answer",
    metadata,
    name("serial", primary_key=True),
    name("issuer"),
    sa.Column("der", sa.LargeBinary, nullable=False),
    words("phase"),
    time("next_update"),
)

renewal = sa.Table(
    "renewal",
    metadata,
    name("renewal_id", primary_key=True),
    sa.Column("plan", JSON, nullable=False),
    words("phase"),
    words("reason"),
    words("created_by"),
    time("created_at"),
    time("finished_at", nullable=True),
    sa.Column("chargers", sa.Integer, nullable=False),
    sa.Column("waves", sa.Integer, nullable=False),
    sa.Index(None, "created_at", "renewal_id"),
)

renewal_target = sa.Table(
    "renewal_target",
    metadata,
    name("renewal_id", sa.ForeignKey("renewal.renewal_id")),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("ordinal", sa.Integer),
    name("charger_id", sa.ForeignKey("charger.charger_id")),
    sa.Column("attempts", sa.Integer, nullable=False),
    time("not_before", nullable=True),
    words("outcome", nullable=True),
    words("reason"),
    words("serial", nullable=True),
    time("finished_at", nullable=True),
    sa.PrimaryKeyConstraint("renewal_id", "ordinal"),
    sa.UniqueConstraint("renewal_id", "charger_id"),
    sa.Index(None, "charger_id"),
    postgresql_with=ROOMY,
)
