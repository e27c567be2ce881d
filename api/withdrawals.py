"""Withdrawing at the door, for the api and the dashboard: in force first, then on record."""

from collections.abc import Sequence
from contextlib import suppress

from api.acts import entry_of
from api.ports import ApiServices
from signing.errors import VendorSignatureBad
from signing.revocation import certificate_subjects
from storage.access import Principal
from storage.artifact import Artifact, ArtifactPhase
from storage.audit import AuditEntry
from storage.errors import Conflict
from storage.withdrawal import Source, Withdrawal, artifact_subject


async def withdraw_release(
    services: ApiServices, actor: Principal, artifact_id: str, reason: str
) -> Withdrawal:
    """Stop sending one release. Raises NotFound, and Conflict if it is none."""
    artifact = await services.artifacts.get(artifact_id)
    if artifact.phase not in (ArtifactPhase.RELEASED, ArtifactPhase.REVOKED):
        raise Conflict(
            f"It is {artifact.phase.value}, so nothing is sent of it.", hint="Only releases are withdrawn."
        )
    standing = await withdraw_subject(services, actor, artifact_subject(artifact_id), reason)
    said = f"withdrawn by {actor.name}: {reason}"
    await services.artifacts.set_phase(artifact_id, ArtifactPhase.REVOKED, said)
    return standing


async def withdraw_subject(services: ApiServices, actor: Principal, subject: str, reason: str) -> Withdrawal:
    """Stop sending what the subject names; what stands, by whoever said it first."""
    given = Withdrawal(subject, reason, Source.PERSON, actor.name, services.clock())

    def on_record(_: Sequence[str]) -> AuditEntry:
        act = ("artifact.withdrawn", subject.replace(":", "/"))
        return entry_of(actor, given.withdrawn_at, act, reason=reason)

    await services.withdrawals.add([given], on_record)
    return next(iter(await services.withdrawals.in_force([subject])), given)


async def restore_subject(services: ApiServices, actor: Principal, subject: str) -> Withdrawal:
    """One person's yes to the return of something withdrawn. Raises NotFound or Conflict."""
    kind, _, name = subject.partition(":")
    now = services.clock()

    def on_record(found: Withdrawal) -> AuditEntry:
        act = "artifact.restore_voted" if found.in_force else "artifact.restored"
        return entry_of(actor, now, (act, f"{kind}/{name}"), yes=list(found.restored_by))

    found = await services.withdrawals.restore(subject, actor.name, on_record)
    if kind == "artifact" and not found.in_force:
        people = " and ".join(found.restored_by)
        await services.artifacts.set_phase(name, ArtifactPhase.RELEASED, f"restored by {people}")
    return found


async def standing(services: ApiServices, artifact: Artifact) -> Sequence[Withdrawal]:
    """What keeps an image from being sent: its own withdrawal, and those of its signing certificates."""
    subjects = [artifact_subject(artifact.artifact_id)]
    for proof in artifact.vendor_signatures:
        with suppress(VendorSignatureBad):  # one that cannot be read is told of by the inspection
            subjects += certificate_subjects(proof.certificate)
    return await services.withdrawals.in_force(subjects)
