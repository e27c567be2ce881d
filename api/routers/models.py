"""Charger models: what is declared of them, and what their updates have taught."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.schemas.common import Label
from api.schemas.models import LearnedReply, ModelBody, ModelReply, QuirkReply
from csms.quirks.catalogue import CATALOGUE
from csms.quirks.quirk import of_brand
from storage.learned import learn

router = APIRouter(prefix="/api/v1", tags=["fleet"], route_class=GuardedRoute)

Days = Annotated[int, Query(ge=1, le=730, description="How far back to learn from.")]


@router.put("/models")
@permit(Permission.FLEET_WRITE)
async def put_model(services: Services, caller: Caller, body: ModelBody) -> ModelBody:
    """Say what holds for every charger of a model. A waiver for unsigned updates is audited by name."""
    await services.chargers.put_model(body.to_noun())
    await audit(
        services,
        caller,
        "model.stored",
        f"model/{body.vendor}/{body.model}",
        signature_scheme=body.signature_scheme.value,
        unsafe_unsigned_waiver=body.unsafe_unsigned_waiver,
    )
    return body


@router.get("/models/{vendor}/{model:path}")
@permit(Permission.READ)
async def get_model(
    services: Services, vendor: Label, model: Label, from_version: Label | None = None, days: Days = 180
) -> ModelReply:
    """What is declared of a model, what its brand is known for, and what its past updates looked like."""
    profile = await services.chargers.model(vendor, model)
    since = services.clock() - timedelta(days=days)
    trails = await services.learned.trails(vendor, model, since=since, from_version=from_version)
    return ModelReply(
        vendor=vendor,
        model=model,
        profile=ModelBody.model_validate(profile) if profile else None,
        quirks=tuple(QuirkReply.model_validate(quirk) for quirk in of_brand(CATALOGUE, vendor, model)),
        learned=LearnedReply.model_validate(learn(vendor, model, trails, from_version)),
    )
