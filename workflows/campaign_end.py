"""A campaign's end: nothing new is sent after it, it does what the plan says, and people may move it (R19).

Workflows keep the time, and the step that sends looks at the stored end by itself: a worker that is away
when the end comes lets nothing pass.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import CampaignActivities, ExtendInput
    from storage.campaign import TERMINAL_CAMPAIGN_PHASES, CampaignPhase, EndBehaviour
    from storage.errors import Conflict
    from workflows.options import locally
    from workflows.people import CampaignDesk, Ending
    from workflows.phases import CampaignMove
    from workflows.signals import ExtendRequest

LONGEST = timedelta(days=731)
"""As far away as a plan's own end may be."""
_BACK = frozenset({EndBehaviour.ROLL_BACK, EndBehaviour.ROLL_BACK_FAILED})


class EndDesk(CampaignDesk):
    """Keeps a campaign's end."""

    async def _keep_to_end(self, behaviour: EndBehaviour) -> None:
        """Do what the plan says when the end comes, as long as there is anything left to begin."""
        while self._ending is None and not self._all_begun:
            if not self._late():
                await self._until_end()
            elif behaviour is not EndBehaviour.PAUSE:
                await self._end(behaviour)
            elif not await self._hold():
                await workflow.wait_condition(lambda: self._nothing_to_end() or self._can_hold())

    async def _until_end(self) -> None:
        """Until it has come, or is another one, or has nothing to say any more."""
        ends_at = self._ends_at
        if ends_at is None:
            return
        try:
            await workflow.wait_condition(
                lambda: self._nothing_to_end() or self._ends_at != ends_at,
                timeout=ends_at - workflow.now(),
                timeout_summary="until the campaign's end",
            )
        except TimeoutError:
            return

    def _nothing_to_end(self) -> bool:
        return self._ending is not None or self._all_begun

    def _can_hold(self) -> bool:
        """Whether it goes on although its end has come, or may: it was moved."""
        return self._phase is CampaignPhase.RUNNING or not self._late()

    async def _end(self, behaviour: EndBehaviour) -> None:
        reason = f"its end came: {self._end_text()}"
        ending = Ending(
            reason,
            rollback=behaviour in _BACK,
            only_failed=behaviour is EndBehaviour.ROLL_BACK_FAILED,
            timed=True,
        )
        if await self._move(CampaignMove.ABORT, reason, ending=ending):
            await self._tell_wave(stop=reason)

    async def _hold(self) -> bool:
        """Pause it where it can be paused; one that waits for people waits already."""
        reason = f"its end came: {self._end_text()}; give it a later one, or abort it"
        held = await self._move(CampaignMove.PAUSE, reason)
        if held:
            await self._tell_wave(paused=True)
        return held

    @workflow.update(description="A later end than it has.")
    async def extend(self, request: ExtendRequest) -> None:
        """It goes on until then; one that its end had paused is resumed by hand."""
        former, self._ends_at = self._ends_at, request.ends_at
        order = ExtendInput(self._id, request.ends_at, former, request.actor, request.reason)
        try:
            await locally(CampaignActivities.extend_campaign, order)
        except FailureError:
            self._ends_at = former
            raise

    @extend.validator
    def _may_extend(self, request: ExtendRequest) -> None:
        if self._ending is not None or self._phase in TERMINAL_CAMPAIGN_PHASES:
            raise Conflict(f"The campaign is {self._phase.value}; it has no end to move any more.")
        author = self._plan().created_by
        if self._all_begun:
            raise Conflict("Its last wave has run; its end changes nothing any more.")
        check_extension(request, author, self._ends_at, workflow.now())


def check_extension(request: ExtendRequest, author: str, ends_at: datetime | None, now: datetime) -> None:
    """Raise Conflict unless this end is a later one, in time, by somebody else, with a reason."""
    if ends_at is None:
        raise Conflict(
            "Its plan names no end.", hint="It goes on until it is through, or somebody pauses or aborts it."
        )
    if request.actor == author:
        raise Conflict(
            f"{request.actor} wrote this plan, and others approved it with its end; "
            "somebody else has to move it (four eyes)."
        )
    if request.ends_at <= now:
        raise Conflict(f"{request.ends_at:%Y-%m-%d %H:%M %Z} is in the past.", hint="Name a later time.")
    if request.ends_at <= ends_at:
        raise Conflict(
            f"It ends at {ends_at:%Y-%m-%d %H:%M %Z}; that is not earlier than the time you named.",
            hint="To stop it earlier, pause or abort it.",
        )
    if request.ends_at - now > LONGEST:
        raise Conflict("An end more than two years away is none.", hint="Name an earlier time.")
    if not request.reason.strip():
        raise Conflict("An end is moved with a reason only.", hint="Say why.")
