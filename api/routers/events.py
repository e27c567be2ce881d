"""The live stream of canonical events."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api.auth import Permission
from api.guard import GuardedRoute, Services, permit
from api.ports import ApiServices
from api.schemas.common import ChargerId, Slug
from api.sse import EventStreamResponse, StreamBounds, StreamSeats, Wanted, event_stream

router = APIRouter(prefix="/api/v1", tags=["events"], route_class=GuardedRoute)

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=r"^\d{1,18}$", description="Resume after this sequence."),
]


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {"description": "Events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    },
)
@permit(Permission.READ)
async def stream_events(
    request: Request,
    services: Services,
    charger_id: Annotated[ChargerId | None, Query()] = None,
    campaign_id: Annotated[Slug | None, Query()] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """What happens, as server-sent events. Without Last-Event-ID it starts now; with it, nothing is skipped.

    The id of each event is its sequence. The stream ends after some minutes: resume with the last id.
    """
    wanted = await _wanted(services, charger_id, campaign_id)
    after = int(last_event_id) if last_event_id else await services.events.latest_sequence()
    limits = services.limits
    bounds = StreamBounds(limits.stream_seconds, limits.keep_alive_seconds)
    seats: StreamSeats = request.app.state.seats
    stream = seats.seated(event_stream(services.events, after, wanted, bounds))
    return EventStreamResponse(stream)


async def _wanted(services: ApiServices, charger_id: str | None, campaign_id: str | None) -> Wanted:
    ids: set[str] | None = None
    if campaign_id is not None:
        await services.campaigns.get(campaign_id)
        ids = {target.charger_id for target in await services.campaigns.targets(campaign_id)}
    if charger_id is not None:
        ids = {charger_id} if ids is None else ids & {charger_id}
    return lambda event: ids is None or event.charger_id in ids
