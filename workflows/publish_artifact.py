"""The way in of one image: inspected, staged, signed by people, published."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.artifacts import ArtifactActivities, ArtifactPhaseChange, InspectionFacts
    from activities.release_evidence import EvidenceActivities
    from activities.signer import PublishedFacts, SignerActivities, StagedFacts
    from signing.errors import StaleStage
    from storage.artifact import ArtifactPhase, SignOff
    from storage.errors import AmpwaveError, Conflict
    from storage.ids import artifact_workflow_id
    from workflows.options import by_signer, locally, remotely


_LOOK_AGAIN = "look_again"
"""The patch by which a publication looks again at what is staged."""


@dataclass(frozen=True, slots=True)
class PublicationInput:
    """Which artifact."""

    artifact_id: str


@dataclass(frozen=True, slots=True)
class PublicationStatus:
    """Where a publication is, for people."""

    phase: ArtifactPhase
    reason: str
    staged_sha256: str
    signed_by: tuple[str, ...]
    """Key ids."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class PublishArtifactWorkflow:
    """Publishes one artifact; id ``artifact/{sha256}``."""

    @workflow.init
    def __init__(self, given: PublicationInput) -> None:
        self._id = given.artifact_id
        self._phase = ArtifactPhase.UPLOADED
        self._reason = ""
        self._staged: StagedFacts | None = None
        self._signed: list[str] = []
        self._changed = False
        # How often somebody doubted what is staged, and how many of these doubts are settled.
        self._doubts = 0
        self._settled = 0

    @workflow.run
    async def run(self, given: PublicationInput) -> ArtifactPhase:  # noqa: ARG002 - __init__ has it
        """From the upload to released or rejected, which is returned."""
        await self._enter(ArtifactPhase.INSPECTING, "its bytes and signatures are being checked")
        facts = await remotely(
            ArtifactActivities.inspect_artifact, self._id, "read the bytes back and check them"
        )
        if facts.problems:
            await self._enter(ArtifactPhase.REJECTED, "; ".join(facts.problems))
            return self._phase
        stamp = await self._signed_and_published(facts)
        if stamp is not None:
            await self._enter(
                ArtifactPhase.RELEASED,
                f"{facts.vendor_role} {facts.version} is released",
                {"target_path": stamp.target_path, "role_version": stamp.role_version},
            )
            await self._tell(stamp.overtaken)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._phase

    async def _signed_and_published(self, facts: InspectionFacts) -> PublishedFacts | None:
        """Stage, wait for people, publish; anew when another release was published first (S16)."""
        why = ""
        while True:
            try:
                if workflow.patched("evidence"):
                    await self._until_proven()
                await self._stage(why)
                if why := await self._until_signed():
                    continue
                await self._enter(ArtifactPhase.PUBLISHING, f"{len(self._signed)} people signed")
                return await by_signer(
                    SignerActivities.publish_release, self._id, f"publish {facts.vendor_role} {facts.version}"
                )
            except ActivityError as error:
                if not _is(error, StaleStage):
                    await self._enter(ArtifactPhase.REJECTED, _said(error))
                    return None
                why = "Another release came first"

    async def _until_proven(self) -> None:
        """Wait for the evidence that its policy asks for (S49 to S51)."""
        while True:
            self._changed = False
            facts = await by_signer(EvidenceActivities.judge_evidence, self._id, "judge its evidence")
            if not facts.problems:
                return
            await self._enter(ArtifactPhase.AWAITING_EVIDENCE, "; ".join(facts.problems))
            await workflow.wait_condition(lambda: self._changed)

    async def _until_signed(self) -> str:
        """Wait for enough signatures; why it has to be staged again before that, if it has to (S16)."""
        while True:
            await workflow.wait_condition(
                lambda: self._enough() or self._changed or self._doubts > self._settled
            )
            if self._changed:
                return "Its evidence changed"
            if self._enough():
                return ""
            doubts = self._doubts
            # Asked here only, so that a release that nobody doubts pays for no marker.
            if workflow.patched(_LOOK_AGAIN):
                what = "look whether what is staged can still be published"
                if why := await by_signer(SignerActivities.compare_staged, self._id, what):
                    return why
            self._settled = doubts

    async def _stage(self, why: str) -> None:
        doubts, void = self._doubts, tuple(self._signed)
        staged = await by_signer(SignerActivities.stage_release, self._id, "prepare what people sign")
        self._staged, self._signed = staged, list(staged.signed_by)
        needs = f"{staged.threshold} people have to sign version {staged.version} of {staged.role}"
        if why:
            gone = " and the signatures are void; sign it again" if void else ""
            needs = f"{why}, so it was staged again{gone}: {needs}"
        await self._enter(ArtifactPhase.AWAITING_SIGNATURES, needs, _on_record(staged, void))
        self._settled = doubts

    async def _tell(self, overtaken: tuple[str, ...]) -> None:
        """Have those look again whose staged version is taken now, before their people try to sign it."""
        if not overtaken or not workflow.patched(_LOOK_AGAIN):
            return
        for artifact_id in overtaken:
            other = workflow.get_external_workflow_handle(artifact_workflow_id(artifact_id))
            try:
                await other.signal(PublishArtifactWorkflow.overtaken)
            except FailureError:
                workflow.logger.info("Its publication is over", extra={"artifact_id": artifact_id})

    def _enough(self) -> bool:
        return self._staged is not None and len(self._signed) >= self._staged.threshold

    async def _enter(
        self, phase: ArtifactPhase, reason: str, detail: dict[str, str | int] | None = None
    ) -> None:
        self._phase, self._reason = phase, reason
        workflow.set_current_details(f"**{phase.value}**: {reason}")
        await locally(
            ArtifactActivities.set_artifact_phase, ArtifactPhaseChange(self._id, phase, reason, detail)
        )
        if phase is not ArtifactPhase.AWAITING_SIGNATURES:
            self._settled = self._doubts

    @workflow.update(description="One person's signature over what is staged.")
    async def sign_off(self, given: SignOff) -> int:
        """Counts once the signer verified and stored it; returns how many have signed.

        Fails with VerificationFailed if the signature does not hold.
        """
        await by_signer(SignerActivities.check_sign_off, given, f"verify the signature of {given.signer}")
        if self._is_current(given) and given.keyid not in self._signed:
            self._signed.append(given.keyid)
        return len(self._signed)

    @sign_off.validator
    def _may_sign_off(self, given: SignOff) -> None:
        if self._phase is not ArtifactPhase.AWAITING_SIGNATURES or self._staged is None:
            raise Conflict(f"The artifact is {self._phase.value}, so there is nothing to sign.")
        if not self._is_current(given):
            raise Conflict("This is not what is staged now.", hint="Fetch the staged bytes and sign again.")
        if given.keyid not in self._staged.keyids:
            raise Conflict(f"Key {given.keyid} does not count for {self._staged.role}.")
        if given.keyid in self._signed:
            raise Conflict("This key has signed already.", hint="Another person has to.")

    def _is_current(self, given: SignOff) -> bool:
        return self._staged is not None and given.staged_sha256 == self._staged.sha256

    @workflow.signal(description="A piece of evidence was added or taken away.")
    def evidence_changed(self) -> None:
        """It is judged again, and what was signed over the old one is void."""
        self._changed = True

    @workflow.signal(description="Another release of its vendor was published.")
    def overtaken(self) -> None:
        """What is staged is looked at again."""
        self._doubts += 1

    @workflow.update(description="Somebody asks whether what is staged can still be published.")
    async def look_again(self) -> None:
        """Returns once it can, staged again if need be, or once nobody is asked to sign it any more.

        Signatures over what can still be published stay.
        """
        self._doubts += 1
        mine = self._doubts
        await workflow.wait_condition(lambda: self._settled >= mine)

    @look_again.validator
    def _may_look_again(self) -> None:
        if self._phase is not ArtifactPhase.AWAITING_SIGNATURES:
            raise Conflict(f"The artifact is {self._phase.value}, so there is nothing to sign.")

    @workflow.query(description="Phase, what is staged, and who signed.")
    def status(self) -> PublicationStatus:
        """Where the publication is."""
        staged = self._staged.sha256 if self._staged else ""
        return PublicationStatus(self._phase, self._reason, staged, tuple(self._signed))


def _on_record(staged: StagedFacts, void: tuple[str, ...]) -> dict[str, str | int]:
    """What the audit log says of a staging, with the keys whose signatures it makes void."""
    said: dict[str, str | int] = {"role_version": staged.version, "staged_sha256": staged.sha256}
    return {**said, "void": ", ".join(void)} if void else said


def _is(error: ActivityError, kind: type[AmpwaveError]) -> bool:
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type == kind.__name__


def _said(error: ActivityError) -> str:
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(error)
