"""Activities on artifacts that need no key: look at an upload, write where it stands."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from signing.ports import ArtifactInspector
from storage.artifact import ArtifactPhase


@dataclass(frozen=True, slots=True)
class InspectionFacts:
    """What an upload turned out to be. Problems are for people, all at once."""

    vendor_role: str
    version: str
    length: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArtifactPhaseChange:
    """An artifact enters a phase."""

    artifact_id: str
    phase: ArtifactPhase
    reason: str
    detail: dict[str, str | int] | None = None
    """Evidence for the audit log."""


class ArtifactActivities:
    """Reads uploads and writes phases."""

    def __init__(self, stores: Stores, inspector: ArtifactInspector) -> None:
        self._stores = stores
        self._inspector = inspector

    @activity.defn
    @mapped
    async def inspect_artifact(self, artifact_id: str) -> InspectionFacts:
        """Read the stored bytes back and check all that can be checked before people sign (S32, S41)."""
        artifact = await self._stores.artifacts.get(artifact_id)
        inspection = await self._inspector.inspect(artifact)
        problems = list(inspection.problems)
        if inspection.sha256 != artifact_id:
            problems.append(f"the stored bytes hash to {inspection.sha256}, not to {artifact_id}")
        return InspectionFacts(artifact.vendor_role, artifact.version, inspection.length, tuple(problems))

    @activity.defn
    @mapped
    async def set_artifact_phase(self, given: ArtifactPhaseChange) -> None:
        """Write a phase and its sentence, and the audit entry."""
        await self._stores.artifacts.set_phase(given.artifact_id, given.phase, given.reason)
        await self._stores.record(
            f"artifact/{given.artifact_id}",
            f"artifact.{given.phase.value}",
            f"artifact/{given.artifact_id}",
            reason=given.reason,
            **(given.detail or {}),
        )
