"""Uploads in pieces, how far downloads got, and when stored images were last hashed."""

from alembic import op

revision = "0015"
down_revision = "0013"

STATEMENTS = (
    """
    CREATE TABLE artifact_upload (
        upload_id TEXT COLLATE "C" NOT NULL,
        actor TEXT COLLATE "C" NOT NULL,
        length BIGINT NOT NULL,
        sha256 TEXT COLLATE "C" NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL,
        CONSTRAINT pk_artifact_upload PRIMARY KEY (upload_id),
        CONSTRAINT uq_artifact_upload_actor_sha256_length UNIQUE (actor, sha256, length)
    )
    """,
    """
    CREATE TABLE artifact_upload_piece (
        upload_id TEXT COLLATE "C" NOT NULL,
        first BIGINT NOT NULL,
        length BIGINT NOT NULL,
        object_key TEXT COLLATE "C" NOT NULL,
        CONSTRAINT pk_artifact_upload_piece PRIMARY KEY (upload_id, first),
        CONSTRAINT fk_artifact_upload_piece_upload_id FOREIGN KEY (upload_id)
            REFERENCES artifact_upload (upload_id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE download (
        ticket_sha256 TEXT COLLATE "C" NOT NULL,
        length BIGINT NOT NULL,
        position BIGINT NOT NULL,
        sent BIGINT NOT NULL,
        requests BIGINT NOT NULL,
        address TEXT NOT NULL,
        started_at TIMESTAMPTZ NOT NULL,
        seen_at TIMESTAMPTZ NOT NULL,
        finished_at TIMESTAMPTZ,
        CONSTRAINT pk_download PRIMARY KEY (ticket_sha256),
        CONSTRAINT fk_download_ticket_sha256 FOREIGN KEY (ticket_sha256)
            REFERENCES download_ticket (ticket_sha256) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE blob_check (
        sha256 TEXT COLLATE "C" NOT NULL,
        checked_at TIMESTAMPTZ NOT NULL,
        problem TEXT NOT NULL,
        CONSTRAINT pk_blob_check PRIMARY KEY (sha256)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
