"""The app: every door, one guard, one table of errors. ``api.bootstrap`` hands in the services."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from api import contract, problems
from api.dashboard import actions, incidents, life, life_acts, login, routes
from api.dashboard import halts as halt_pages
from api.dashboard import service as service_pages
from api.download_desk import DownloadDesk
from api.downloads import RedactTickets
from api.downloads import router as downloads_router
from api.drafts import keep_starting_drafts
from api.errors import TooManyImports, TooManyRebuilds
from api.guard import RefusalMemory
from api.log_uploads import UploadSeats
from api.log_uploads import router as log_uploads_router
from api.metrics import ApiMetrics
from api.middleware import Doorman
from api.ports import ApiServices
from api.routers import (
    access,
    artifacts,
    audit_proof,
    bundles,
    campaigns,
    certificates,
    chargers,
    codec,
    commands,
    configurations,
    connections,
    downtime,
    drift,
    events,
    evidence,
    exports,
    forecasts,
    halts,
    health,
    intake,
    logs,
    manual,
    models,
    moves,
    passports,
    past,
    penalties,
    pki,
    provisioning,
    quarantine,
    registry,
    renewals,
    reprovisions,
    retirements,
    roots,
    service,
    sites,
    storage,
    tuf,
    twins,
    upkeep,
    watching,
    webhooks,
    withdrawals,
)
from api.seats import Seats
from api.sse import StreamSeats
from api.vendor_fetch import VendorFetch

API_ROUTERS = (
    connections.router,
    artifacts.router,
    evidence.router,
    intake.router,
    withdrawals.router,
    campaigns.router,
    forecasts.router,
    chargers.router,
    commands.router,
    logs.router,
    twins.router,
    downtime.router,
    drift.router,
    past.router,
    past.fleet,
    configurations.router,
    sites.router,
    models.router,
    penalties.router,
    events.router,
    access.router,
    audit_proof.router,
    halts.router,
    webhooks.router,
    exports.router,
    storage.router,
    health.router,
    watching.router,
    service.router,
    tuf.ceremonies,
    tuf.drills,
    registry.router,
    renewals.router,
    roots.router,
    certificates.router,
    moves.router,
    retirements.router,
    bundles.router,
    passports.router,
    upkeep.router,
    provisioning.router,
    quarantine.router,
    reprovisions.router,
)
OTHER_ROUTERS = (codec.router, manual.router, downloads_router, log_uploads_router, tuf.router, pki.router)
PAGE_ROUTERS = (
    login.router,
    actions.router,
    incidents.router,
    halt_pages.router,
    service_pages.router,
    life.router,
    life_acts.router,
    routes.router,
)


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Every route. None depends on the services, and working them out takes FastAPI a tenth of a second."""
    whole = APIRouter()
    for router in (*API_ROUTERS, *OTHER_ROUTERS, *PAGE_ROUTERS):
        whole.include_router(router)
    return tuple(whole.routes)


def create_app(services: ApiServices) -> FastAPI:
    """The api, dashboard and downloads over these services."""
    app = FastAPI(
        title="Ampwave",
        version="1",
        description=contract.DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        separate_input_output_schemas=False,
    )
    metrics = ApiMetrics()
    app.state.services = services
    app.state.metrics = metrics
    app.state.refusals = RefusalMemory()
    app.state.scales = health.Scales()
    app.state.desk = DownloadDesk(
        services.downloads, services.limits.downloads, services.clock, time.monotonic
    )
    app.state.lengths = {}
    app.state.import_seats = Seats(services.limits.imports, TooManyImports)
    app.state.rebuild_seats = Seats(services.limits.rebuilds, TooManyRebuilds)
    app.state.vendor_fetch = VendorFetch()
    app.state.log_seats = UploadSeats(services.limits.log_uploads)
    app.state.seats = StreamSeats(services.limits.streams, metrics.streams)
    app.router.routes.extend(_routes())
    app.mount("/static", StaticFiles(directory=manual.STATIC), name="static")
    problems.install(app)
    contract.install(app)
    app.add_middleware(Doorman, metrics=metrics, new_id=services.new_id)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    logging.getLogger("uvicorn.access").addFilter(RedactTickets())
    starting = asyncio.create_task(keep_starting_drafts(app.state.services))
    noting = asyncio.create_task(app.state.desk.keep_noting())
    yield
    for task in (starting, noting):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await app.state.desk.note()
