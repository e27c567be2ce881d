"""The dashboard's buttons: the same acts as the HTTP api, behind the same permissions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from api.acts import CampaignActs
from api.auth import Permission
from api.dashboard.guard import PageRoute
from api.dashboard.session import check_form
from api.guard import Caller, Services, permit
from api.ports import ApiServices
from api.schemas.common import Slug
from storage.access import Principal
from storage.canonical import digest
from storage.errors import InvalidInput

router = APIRouter(prefix="/campaigns/{campaign_id}", include_in_schema=False, route_class=PageRoute)
_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button: whose, on which campaign, with which form."""

    request: Request
    services: ApiServices
    actor: Principal
    campaign_id: str

    async def act(self, do: Callable[[CampaignActs, FormData], Awaitable[None]]) -> Response:
        """Check the form, act once however often it is sent, and show the campaign again."""
        form = await self.request.form(max_files=0, max_fields=10)
        check_form(self.request, text_of(form, "proof"))
        key = self._key(form)
        await do(CampaignActs(self.services, self.actor, self.campaign_id, key), form)
        return RedirectResponse(f"/campaigns/{self.campaign_id}", 303)

    def _key(self, form: FormData) -> str | None:
        """The page's key and what was filled in: twice the same is one act, a corrected form is another."""
        given = text_of(form, "key")
        filled = sorted((name, text) for name, text in form.multi_items() if isinstance(text, str))
        return digest([name for name in filled if name[0] != "proof"]) if given else None


@router.post("/approve")
@permit(Permission.CAMPAIGN_APPROVE)
async def approve(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Approve the plan and cohort that the page showed."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(lambda acts, form: acts.approve(text_of(form, "plan_digest")))


@router.post("/pause")
@permit(Permission.CAMPAIGN_PAUSE)
async def pause(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Pause."""
    return await Press(request, services, caller, campaign_id).act(lambda acts, _: acts.pause())


@router.post("/resume")
@permit(Permission.CAMPAIGN_RESUME)
async def resume(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Resume."""
    return await Press(request, services, caller, campaign_id).act(lambda acts, _: acts.resume())


@router.post("/proceed")
@permit(Permission.CAMPAIGN_PROCEED)
async def proceed(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Decide a held gate by hand."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(lambda acts, form: acts.proceed(reason_of(form)))


@router.post("/abort")
@permit(Permission.CAMPAIGN_ABORT)
async def abort(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Abort, with or without rollback."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(
        lambda acts, form: acts.abort(reason_of(form), rollback=text_of(form, "rollback") == "yes")
    )


@router.post("/extend")
@permit(Permission.CAMPAIGN_EXTEND)
async def extend(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Give it a later end."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(lambda acts, form: acts.extend(instant_of(form, "ends_at"), reason_of(form)))


@router.post("/skip")
@permit(Permission.CAMPAIGN_SKIP)
async def skip(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Take one charger out."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(lambda acts, form: acts.skip(text_of(form, "charger_id"), reason_of(form)))


@router.post("/recall")
@permit(Permission.CAMPAIGN_SKIP)
async def recall(request: Request, services: Services, caller: Caller, campaign_id: Slug) -> Response:
    """Take one charger out, also while its update is under way."""
    press = Press(request, services, caller, campaign_id)
    return await press.act(lambda acts, form: acts.recall(text_of(form, "charger_id"), reason_of(form)))


def text_of(form: FormData, name: str) -> str:
    """A field of a form; empty where it is missing."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def instant_of(form: FormData, name: str) -> datetime:
    """A time of a form, in UTC as the page says. Raises InvalidInput."""
    try:
        return datetime.fromisoformat(text_of(form, name)).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(
            "A time is needed.", [f"{name}: such as 2026-12-24T18:00"], hint="Go back and name one."
        ) from None


def reason_of(form: FormData) -> str:
    """The reason that a form must give. Raises InvalidInput."""
    reason = text_of(form, "reason")
    if not 0 < len(reason) <= _REASON_LENGTH:
        raise InvalidInput(
            "A reason is needed.",
            ["reason: one sentence, it goes into the audit log"],
            hint="Go back and say why.",
        )
    return reason
