"""Chargers go from security profile 1 to 2 to 3 over real sockets, in both dialects, never back (A05, B09).

And those that cannot: each is let in by its old way until it came by the new one. With
``AMPWAVE_WRITE_HISTORIES=1`` the histories that this leaves are written to ``tests/replay``.
"""

import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.personality import KeyStyle
from csms.simulator.spec import ChargerSpec
from storage.ids import charger_workflow_id
from storage.renewal import FleetWork
from storage.twin_schema import NETWORK
from tests.replay.record import _strip
from tests.support.profile_stage import SOON, Ends, job, plain_fleet, plain_url, registered
from tests.support.renewal_stage import Stage, stage
from workflows.payloads import DATA_CONVERTER
from workflows.registry import WORKFLOWS

pytestmark = pytest.mark.integration
REPLAYS = Path(__file__).parents[2] / "replay"
OLD, NEW = "larkspur", "jetty"
"""OCPP 1.6 with the security extension, and OCPP 2.0.1."""
TROUBLES = {
    FaultKind.ONE_SLOT: (NEW,),
    FaultKind.PRIORITY_REFUSED: (NEW,),
    FaultKind.NETWORK_FALLBACK: (OLD, NEW),
    FaultKind.STRANDED: (OLD, NEW),
}
STEPS_BACK = {"restore", "return"}
FILES = {"ConnectionChangeWorkflow": "connection_change", "PasswordChangeWorkflow": "password_change"}
SHORT = replace(SOON, canary=50, proof_seconds=10, max_failed_share=1.0, max_lost=50)


@pytest.fixture
async def place(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> AsyncIterator[Stage]:
    engines = {"database": database, "s3": s3_settings, "temporal": embedded_temporal}
    async with stage(tmp_path, **engines, plain=True) as found:
        yield found


async def knock(url: str, spec: ChargerSpec) -> int:
    """Come by the door without TLS; the HTTP status."""
    secret = spec.password.encode()
    if spec.character.key_style is KeyStyle.HEX_BYTES:
        secret = bytes.fromhex(spec.password)
    basic = b64encode(spec.charger_id.encode() + b":" + secret).decode()
    try:
        async with connect(
            f"{url}/{spec.charger_id}",
            subprotocols=[spec.character.dialect.value],  # type: ignore[list-item]
            additional_headers={"Authorization": f"Basic {basic}"},
            proxy=None,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def security(place: Stage, spec: ChargerSpec) -> tuple[int, int]:
    """Profile of its connection, and the lowest with which it may come."""
    view = await place.stores.chargers.get(spec.charger_id)
    assert view.twin.security is not None
    return view.twin.security.profile, view.charger.security_floor


def outcomes(ends: Ends, specs: tuple[ChargerSpec, ...]) -> list[str | None]:
    return [ends[spec.charger_id][0] for spec in specs]


@pytest.mark.requirement("S61", "F41", "F54", "F40")
async def test_chargers_are_raised_for_good_and_whoever_cannot_keeps_its_old_way(place: Stage) -> None:
    good = await registered(place, (OLD, NEW))
    weak = {fault: await registered(place, brands) for fault, brands in TROUBLES.items()}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(plain_fleet(place, good))
        for fault, specs in weak.items():
            await stack.enter_async_context(plain_fleet(place, specs, (NetworkFault(fault),)))
        everybody = (*good, *(spec for specs in weak.values() for spec in specs))
        ends = await job(place, everybody, 2, plan=SHORT)
        assert outcomes(ends, good) == ["renewed"] * 2, ends
        for spec in good:
            assert await security(place, spec) == (2, 2)
            assert await knock(plain_url(place), spec) == 403
        await nobody_else_has_moved(place, weak, ends)
        await never_without_proof_never_lower(place, good)
        await other_ways(place, good)
    fallen = weak[FaultKind.NETWORK_FALLBACK][1]
    await histories(place, {"up": good[1], "old": good[0], "back": fallen, "password": good[1]})


async def nobody_else_has_moved(
    place: Stage, weak: dict[FaultKind, tuple[ChargerSpec, ...]], ends: Ends
) -> None:
    assert outcomes(ends, weak[FaultKind.ONE_SLOT]) == ["refused"], ends
    assert outcomes(ends, weak[FaultKind.PRIORITY_REFUSED]) == ["refused"], ends
    assert outcomes(ends, weak[FaultKind.NETWORK_FALLBACK]) == ["failed"] * 2, ends
    assert outcomes(ends, weak[FaultKind.STRANDED]) == ["lost"] * 2, ends
    said = {fault: ends[specs[-1].charger_id][1] for fault, specs in weak.items()}
    assert "no slot took" in said[FaultKind.ONE_SLOT]
    assert "does not take the order 2,1" in said[FaultKind.PRIORITY_REFUSED]
    assert "came back with security profile 1" in said[FaultKind.NETWORK_FALLBACK]
    assert "did not come back" in said[FaultKind.STRANDED]
    for spec in (spec for specs in weak.values() for spec in specs):
        assert (await security(place, spec))[1] == 1, "its old way lets it in"
        assert await place.stores.leases.get(spec.charger_id) is None
    for spec in (*weak[FaultKind.NETWORK_FALLBACK], *weak[FaultKind.PRIORITY_REFUSED]):
        assert await place.stores.out_of_service.get(spec.charger_id) is None, "it is back in service"


async def never_without_proof_never_lower(place: Stage, good: tuple[ChargerSpec, ...]) -> None:
    ends = await job(place, good, 3, plan=SHORT, tag="early")
    assert outcomes(ends, good) == ["refused"] * 2
    assert "no certificate to come with" in ends[good[0].charger_id][1]
    ends = await job(place, good, 0, plan=SHORT, work=FleetWork.RENEW, tag="renew")
    assert outcomes(ends, good) == ["taken"] * 2, ends
    before = [await place.stores.chargers.credential(spec.charger_id) for spec in good]
    ends = await job(place, good, 0, plan=SHORT, work=FleetWork.ROTATE_PASSWORD, tag="password")
    assert outcomes(ends, good) == ["renewed"] * 2, ends
    after = [await place.stores.chargers.credential(spec.charger_id) for spec in good]
    assert all(
        one and other and one.secret_hmac != other.secret_hmac
        for one, other in zip(before, after, strict=True)
    )
    ends = await job(place, good, 3, plan=SHORT, tag="three")
    assert outcomes(ends, good) == ["renewed"] * 2, ends
    assert [await security(place, spec) for spec in good] == [(3, 3)] * 2
    ends = await job(place, good, 2, plan=SHORT, tag="lower")
    assert outcomes(ends, good) == ["refused"] * 2
    assert "never lowered" in ends[good[0].charger_id][1]
    ends = await job(place, good, 3, plan=SHORT, tag="again")
    assert outcomes(ends, good) == ["renewed"] * 2
    assert "already" in ends[good[0].charger_id][1]


async def other_ways(place: Stage, good: tuple[ChargerSpec, ...]) -> None:
    """The same profile by another slot, where there are slots (F54)."""
    ends = await job(place, good, 3, plan=SHORT, work=FleetWork.CHANGE_NETWORK, tag="network")
    assert outcomes(ends, good) == ["refused", "renewed"], ends
    assert "by slot 2" in ends[good[1].charger_id][1]
    wanted = {each.section: each for each in await place.stores.twins.desired(good[1].charger_id)}[NETWORK]
    assert (wanted.desired["url"], wanted.desired["security_profile"]) == (place.url, 3)
    assert wanted.ack_status is not None
    assert wanted.ack_status.value == "accepted"


def steps_of(history: WorkflowHistory) -> set[str]:
    """What the node was told to do."""
    scheduled = (event.activity_task_scheduled_event_attributes for event in history.events)
    told = (json.loads(each.input.payloads[0].data) for each in scheduled if each.input.payloads)
    return {order["step"] for order in told if "step" in order}


async def histories(place: Stage, specs: dict[str, ChargerSpec]) -> None:
    """What this left replays as it came, and as far as it had come when a worker might have been killed."""
    replayer = Replayer(workflows=list(WORKFLOWS), data_converter=DATA_CONVERTER)
    kinds = {
        name: "PasswordChangeWorkflow" if name == "password" else "ConnectionChangeWorkflow" for name in specs
    }
    for name, spec in specs.items():
        workflow_id = charger_workflow_id(spec.charger_id)
        kept = f"WorkflowId='{workflow_id}' AND WorkflowType='{kinds[name]}'"
        runs = [run async for run in place.client.list_workflows(kept)]
        run = min(runs, key=lambda each: each.start_time)
        history = await place.client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
        if name == "back":
            assert steps_of(history) >= STEPS_BACK, "else it would go the new way at its next start"
        steps = [
            number + 1
            for number, event in enumerate(history.events)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]
        for end in (*steps[:-1], len(history.events)):
            so_far = WorkflowHistory(workflow_id, history.events[:end])
            result = await replayer.replay_workflow(so_far, raise_on_replay_failure=False)
            assert result.replay_failure is None, (name, end)
        if os.environ.get("AMPWAVE_WRITE_HISTORIES"):
            stored = json.loads(history.to_json())
            _strip(stored)
            document = {"workflow_id": workflow_id, "history": stored}
            text = json.dumps(document, separators=(",", ":"), sort_keys=True)
            (REPLAYS / f"{FILES[kinds[name]]}-{name}.json").write_text(text + "\n")
