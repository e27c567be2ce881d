"""Block A, who comes in with a password (A00)."""

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from storage.events import EventKind
from tests.integration.conformance.station import CHARGER, PASSWORD
from tests.integration.conformance.wire import OCPP21, OCPP201
from tests.integration.csms.conftest import basic

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F39", "F41"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]


async def test_tc_a_01_the_right_password(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        twin = await csms.twin()
        assert (twin.security.profile, twin.security.auth_failures) == (1, 0)


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        pytest.param(f"{CHARGER}X", PASSWORD, "no basic credentials with this identity", id="tc_a_02"),
        pytest.param(CHARGER, PASSWORD + "X", "wrong password", id="tc_a_03"),
    ],
)
async def test_tc_a_02_03_a_wrong_user_or_password(
    csms: Any, version: str, user: str, password: str, reason: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with csms.station(version, headers=basic(user, password)):
            pass
    assert refused.value.response.status_code == 401
    (event,) = await csms.arrived(EventKind.CONNECTION_REFUSED)
    assert event["reason"].startswith(reason)
    assert password not in str(event)
    async with csms.station(version) as station:
        await station.ready()
        assert (await csms.twin()).security.auth_failures == 1
