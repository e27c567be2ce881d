"""What the database knows of stored blobs: who still needs them, and when they were last found sound."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import reading, transaction
from storage.postgres.tables import artifact, blob_check

# Everything that could ever ask for a blob again, and everything that says that it existed: one question,
# and deny by default, for a wrong "nobody" would lose an image.
_REFERRED = text("""
    SELECT key FROM unnest(:keys) AS given(key)
    WHERE EXISTS (SELECT FROM artifact WHERE artifact_id = key)
       OR EXISTS (SELECT FROM campaign_target WHERE artifact_id = key)
       OR EXISTS (SELECT FROM campaign
                  WHERE plan->>'artifact_id' = key OR plan->>'rollback_artifact_id' = key)
       OR EXISTS (SELECT FROM download_ticket WHERE artifact_sha256 = key AND expires_at > now())
       OR EXISTS (SELECT FROM artifact_upload_piece WHERE object_key = key)
       OR EXISTS (SELECT FROM log_upload WHERE object_key = key)
       OR EXISTS (SELECT FROM withdrawal WHERE subject = 'artifact:' || key)
       OR EXISTS (SELECT FROM audit WHERE subject = 'artifact/' || key)
""").bindparams(bindparam("keys", type_=ARRAY(TEXT)))


class PostgresBlobCareStore:
    """See ``storage.transfer.BlobCareStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def referred(self, keys: Collection[str]) -> frozenset[str]:
        """In one query; few keys, for some of these tables are searched without an index."""
        if not keys:
            return frozenset()
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(_REFERRED, {"keys": list(keys)})).scalars())

    async def due_for_check(self, before: datetime, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        """Those that were never hashed again come first."""
        checked = blob_check.c.checked_at
        query = (
            select(artifact.c.artifact_id, artifact.c.length)
            .outerjoin(blob_check, blob_check.c.sha256 == artifact.c.artifact_id)
            .where(artifact.c.phase != "rejected", func.coalesce(checked, artifact.c.uploaded_at) < before)
            .order_by(checked.nulls_first(), artifact.c.artifact_id)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [(row.artifact_id, row.length) for row in await connection.execute(query)]

    async def note_check(self, sha256: str, at: datetime, problem: str) -> bool:
        """The row is locked between looking and writing, so that a change is announced once."""
        columns = blob_check.c
        before = select(columns.problem).where(columns.sha256 == sha256).with_for_update()
        statement = insert(blob_check).values(sha256=sha256, checked_at=at, problem=problem)
        statement = statement.on_conflict_do_update(
            index_elements=["sha256"], set_={"checked_at": at, "problem": problem}
        )
        async with transaction(self._engine) as connection:
            known = (await connection.execute(before)).scalar_one_or_none()
            await connection.execute(statement)
        return bool(known) != bool(problem)
