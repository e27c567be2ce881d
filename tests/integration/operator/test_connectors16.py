"""A simulated 1.6 charger on a real socket: a connector that was out stays out, the other comes back."""

from typing import Any

import pytest

from activities.availability import put_back, taking_out
from activities.facts import out_of_service
from activities.orders import Node
from api import bootstrap
from csms.commands import ChangeAvailability, TriggerKind, TriggerMessage
from csms.connector_reports import WHOLE
from storage.access import Role
from storage.charger import OutOfService
from storage.clock import system_clock
from storage.events import ConnectorStatus, EventKind
from tests.integration.operator.conftest import Place

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X3")]


def shows(*states: str) -> Any:
    def looks(view: Any) -> bool:
        known = view.twin.operation.connectors
        return [known[key].status.value for key in ("1.1", "2.1") if key in known] == [*states]

    return looks


def whole_out(view: Any) -> bool:
    return WHOLE in out_of_service(view.twin.operation)


async def test_each_connector_alone_goes_out_and_comes_back(place: Place) -> None:
    name = place.named("larkspur")
    node = Node(bootstrap._activity_stores(place.stores), place.gateway, None, None)  # type: ignore[arg-type]
    async with place.fleet("larkspur"), place.http(Role.OPERATOR) as http:
        for body in (
            {"command": "get-variables", "names": ["NumberOfConnectors"]},
            {"command": "change-availability", "operative": False, "evse_id": 2},
        ):
            answer = await http.post(f"/api/v1/chargers/{name}/commands", json=body)
            assert answer.status_code == 200, answer.text
        assert place.gateway is not None
        view = await place.until(name, shows("Available", "Unavailable"))
        route = await place.stores.routes.resolve(name)
        row = OutOfService(name, "site-01", ("2.1",), system_clock(), "an update")
        await place.stores.out_of_service.add(row)
        commands = taking_out(view, row.before)
        assert [command.evse_id for command in commands] == [1]
        for command in commands:
            await place.gateway.send(name, route.session_epoch, command, deadline_s=15)
        await place.until(name, shows("Unavailable", "Unavailable"))
        assert await put_back(node, name, route.session_epoch)
        view = await place.stores.chargers.get(name)
        assert shows("Available", "Unavailable")(view)
        told = await place.stores.events.timeline(name, limit=500)
    kept = [
        one for one in told if one.kind is EventKind.CONNECTOR_STATUS_CHANGED and one.body["evse_id"] == 2
    ]
    states = [one.body["status"] for one in sorted(kept, key=lambda one: one.sequence)]
    first = states.index(ConnectorStatus.UNAVAILABLE.value)
    assert set(states[first:]) == {ConnectorStatus.UNAVAILABLE.value}, states


async def test_what_is_asked_while_it_is_out_is_over_once_it_is_back(place: Place) -> None:
    """It tells of connectors 1 and 2 then, and of connector 0 never again."""
    name = place.named("larkspur")
    node = Node(bootstrap._activity_stores(place.stores), place.gateway, None, None)  # type: ignore[arg-type]
    async with place.fleet("larkspur"):
        assert place.gateway is not None
        await place.until(name, shows("Available", "Available"))
        epoch = (await place.stores.routes.resolve(name)).session_epoch
        await place.stores.out_of_service.add(OutOfService(name, "site-01", (), system_clock(), "an update"))
        for command in (ChangeAvailability(operative=False), TriggerMessage(TriggerKind.STATUS)):
            await place.gateway.send(name, epoch, command, deadline_s=15)
        await place.until(name, whole_out)
        assert await put_back(node, name, epoch)
        view = await place.until(name, shows("Available", "Available"))
    assert out_of_service(view.twin.operation) == ()
