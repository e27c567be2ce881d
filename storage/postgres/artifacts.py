"""Artifacts, what is staged for signature, and who signed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.artifact import (
    EVIDENCE_OPEN,
    Artifact,
    ArtifactPhase,
    Compatible,
    SignOff,
    StagedRelease,
    VendorSignature,
)
from storage.codec import decode, to_json
from storage.errors import Conflict, NotFound
from storage.evidence import EvidenceKind, EvidenceRef, with_piece, without
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.engine import reading, transaction
from storage.postgres.prepared import Prepared
from storage.postgres.tables import artifact, sign_off, staged_release

_LIVE = artifact.c.phase != ArtifactPhase.REJECTED.value


_GET = Prepared(select(artifact).where(artifact.c.artifact_id == bindparam("artifact")))
_BY_VERSION = Prepared(
    select(artifact)
    .where(artifact.c.vendor_role == bindparam("role"), artifact.c.version == bindparam("of_version"))
    .order_by(_LIVE.desc(), artifact.c.uploaded_at.desc(), artifact.c.artifact_id)
    .limit(1)
)


class PostgresArtifactStore:
    """The road of an image from upload to release."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, given: Artifact) -> None:
        """Raise Conflict if the same bytes or the same role and version are there, and were not rejected.

        Rejected bytes come as a new attempt: without the evidence and the signatures of the one before.
        """
        columns = artifact.c
        values: dict[str, Any] = {
            "vendor_role": given.vendor_role,
            "version": given.version,
            "release_counter": given.release_counter,
            "length": given.length,
            "compatible": to_json(given.compatible),
            "vendor_signatures": to_json(given.vendor_signatures),
            "phase": given.phase.value,
            "reason": given.reason,
            "filename": given.filename,
            "uploaded_by": given.uploaded_by,
            "uploaded_at": given.uploaded_at,
            "evidence": [],
        }
        statement = insert(artifact).values(artifact_id=given.artifact_id, **values)
        statement = statement.on_conflict_do_update(
            index_elements=[columns.artifact_id], set_=values, where=~_LIVE
        )
        taken = Conflict(
            f"The same image, or another {given.vendor_role} {given.version}, is there already.",
            hint="A version is never replaced: give the new image a version of its own.",
        )
        try:
            async with transaction(self._engine) as connection:
                if (await connection.execute(statement)).rowcount == 0:
                    raise taken
                for table in (staged_release, sign_off):
                    await connection.execute(delete(table).where(table.c.artifact_id == given.artifact_id))
        except Conflict:
            raise taken from None

    async def get(self, artifact_id: str) -> Artifact:
        """Raise NotFound for an unknown one."""
        row = await _GET.row(self._engine, artifact=artifact_id)
        if row is None:
            raise NotFound("artifact", artifact_id)
        return _artifact(row)

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Artifact]:
        """Newest first."""
        position = tuple_(artifact.c.uploaded_at, artifact.c.artifact_id)
        query = select(artifact).order_by(artifact.c.uploaded_at.desc(), artifact.c.artifact_id.desc())
        if cursor is not None:
            at, artifact_id = cursors.decode(cursor, 2)
            query = query.where(position < (cursors.instant(at), artifact_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
        return cursors.page(rows, limit, _artifact, lambda row: [row.uploaded_at, row.artifact_id])

    async def by_version(self, vendor_role: str, version: str) -> Artifact | None:
        """The one image of this role with this version; only where there is none, the latest rejected one."""
        row = await _BY_VERSION.row(self._engine, role=vendor_role, of_version=version)
        return _artifact(row) if row else None

    async def set_phase(self, artifact_id: str, phase: ArtifactPhase, reason: str) -> None:
        """Raise NotFound for an unknown one."""
        statement = (
            update(artifact)
            .where(artifact.c.artifact_id == artifact_id)
            .values(phase=phase.value, reason=reason)
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise NotFound("artifact", artifact_id)

    async def set_evidence(self, artifact_id: str, piece: EvidenceRef) -> Artifact:
        """Put a piece in its kind's place. Raises NotFound, and Conflict when it is too late for it."""
        return await self._change_evidence(artifact_id, lambda pieces: with_piece(pieces, piece))

    async def remove_evidence(self, artifact_id: str, kind: EvidenceKind) -> Artifact:
        """Take a piece away. Raises NotFound, and Conflict when it is too late for it."""
        return await self._change_evidence(artifact_id, lambda pieces: without(pieces, kind))

    async def _change_evidence(
        self,
        artifact_id: str,
        change: Callable[[tuple[EvidenceRef, ...]], tuple[EvidenceRef, ...]],
    ) -> Artifact:
        here = artifact.c.artifact_id == artifact_id
        async with transaction(self._engine) as connection:
            row = (await connection.execute(select(artifact).where(here).with_for_update())).one_or_none()
            if row is None:
                raise NotFound("artifact", artifact_id)
            before = _artifact(row)
            if before.phase not in EVIDENCE_OPEN:
                raise Conflict(
                    f"The artifact is {before.phase.value}, so its evidence stays as it is.",
                    hint="Evidence is part of what people sign: bring it with the next version.",
                )
            pieces = change(before.evidence)
            await connection.execute(update(artifact).where(here).values(evidence=to_json(pieces)))
        return replace(before, evidence=pieces)

    async def stage(self, staged: StagedRelease) -> None:
        """Replace what was staged for this artifact. Raise NotFound if there is no such artifact."""
        values: dict[str, Any] = {
            "role": staged.role,
            "version": staged.version,
            "payload": staged.payload,
            "sha256": staged.sha256,
            "threshold": staged.threshold,
            "keyids": list(staged.keyids),
        }
        statement = insert(staged_release).values(artifact_id=staged.artifact_id, **values)
        statement = statement.on_conflict_do_update(index_elements=["artifact_id"], set_=values)
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(statement)
        except Conflict as error:
            raise NotFound("artifact", staged.artifact_id) from error

    async def staged(self, artifact_id: str) -> StagedRelease | None:
        """What people are to sign now."""
        query = select(staged_release).where(staged_release.c.artifact_id == artifact_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return StagedRelease(
            artifact_id=row.artifact_id,
            role=row.role,
            version=row.version,
            payload=row.payload,
            sha256=row.sha256,
            threshold=row.threshold,
            keyids=tuple(row.keyids),
        )

    async def overtaken(self, role: str, version: int) -> Sequence[str]:
        """Artifacts on their way that are staged as this version of a role, or as an earlier one."""
        on_its_way = artifact.c.phase.in_([phase.value for phase in EVIDENCE_OPEN])
        query = (
            select(artifact.c.artifact_id)
            .join(staged_release, staged_release.c.artifact_id == artifact.c.artifact_id)
            .where(staged_release.c.role == role, staged_release.c.version <= version, on_its_way)
            .order_by(artifact.c.uploaded_at, artifact.c.artifact_id)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def add_sign_off(self, given: SignOff) -> None:
        """The first signature of a key over these bytes stands."""
        statement = insert(sign_off).values(
            artifact_id=given.artifact_id,
            staged_sha256=given.staged_sha256,
            keyid=given.keyid,
            signature=given.signature,
            signer=given.signer,
            signed_at=given.signed_at,
        )
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(statement.on_conflict_do_nothing())
        except Conflict as error:
            raise NotFound("artifact", given.artifact_id) from error

    async def sign_offs(self, artifact_id: str) -> Sequence[SignOff]:
        """Those over the bytes that are staged now, oldest first."""
        query = (
            select(sign_off)
            .join(staged_release, staged_release.c.artifact_id == sign_off.c.artifact_id)
            .where(sign_off.c.artifact_id == artifact_id, sign_off.c.staged_sha256 == staged_release.c.sha256)
            .order_by(sign_off.c.signed_at, sign_off.c.keyid)
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings()
            return [SignOff(**row) for row in rows]


def _artifact(row: Row[*tuple[Any, ...]]) -> Artifact:
    return Artifact(
        artifact_id=row.artifact_id,
        vendor_role=row.vendor_role,
        version=row.version,
        release_counter=row.release_counter,
        length=row.length,
        compatible=decode(tuple[Compatible, ...], row.compatible),
        vendor_signatures=decode(tuple[VendorSignature, ...], row.vendor_signatures),
        phase=ArtifactPhase(row.phase),
        uploaded_by=row.uploaded_by,
        uploaded_at=row.uploaded_at,
        filename=row.filename,
        reason=row.reason,
        evidence=decode(tuple[EvidenceRef, ...], row.evidence),
    )
