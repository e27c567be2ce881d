"""The end of chargers, over real sockets, workflows, keys and stores."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from api.cli.main import app as cli
from csms.simulator.pace import SessionPattern
from signing.keys import read_public
from signing.testimony import open_testimony
from storage.access import Role
from storage.errors import EngineUnavailable
from storage.events import EventKind
from storage.retirement import Retirement, RetirementState, Step, StepState
from storage.twin import Lifecycle
from tests.integration.operator.conftest import Place

pytestmark = pytest.mark.integration


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for something that nothing announces; a log that fails is tried again after 20 s."""
    async with asyncio.timeout(150 + 2 * int(os.environ.get("AMPWAVE_PROVISION", "0"))):
        while not (found := await condition()):  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.05)
    return found


async def retire(place: Place, charger_id: str, **body: Any) -> httpx2.Response:
    async with place.http(Role.SECURITY) as http:
        given = {"reason": "sold", "wait_minutes": 5, **body}
        return await http.post(f"/api/v1/chargers/{charger_id}/decommission", json=given)


async def receipted(place: Place, charger_id: str) -> Retirement:
    async def over() -> Retirement | None:
        found = await place.stores.retirements.get(charger_id)
        return found if found.state is RetirementState.RECEIPTED else None

    found: Retirement = await until(over)
    return found


@pytest.mark.timeout(400)
@pytest.mark.requirement("F47", "F49")
async def test_chargers_of_every_generation_are_wiped_retired_and_receipted(
    signed: Place, tmp_path: Path
) -> None:
    names = ("larkspur", "jetty", "estuary")
    async with signed.fleet(*names) as task:
        for name in names:
            asked = await retire(signed, signed.named(name))
            assert asked.status_code == 202, asked.text
        for name in names:
            charger = signed.named(name)
            found = await receipted(signed, charger)
            states = {record.step: record.state for record in found.steps}
            assert set(states) == set(Step)
            assert states[Step.DRAIN] is states[Step.PASSWORD] is states[Step.BURY] is StepState.DONE
            assert states[Step.LOCAL_LIST] is StepState.DONE, found
            assert StepState.UNREACHED not in states.values()
            assert (await signed.stores.chargers.get(charger)).charger.lifecycle is Lifecycle.RETIRED
            assert await signed.stores.leases.get(charger) is None

            async def turned_away(charger: str = charger) -> bool:
                rows = await signed.stores.events.timeline(charger, limit=50)
                told = [row.body["reason"] for row in rows if row.kind is EventKind.CONNECTION_REFUSED]
                # Only who proved to be it, with the password that it alone has now, is told so.
                return "the charger is retired" in told

            await until(turned_away)
            assert await signed.stores.routes.resolve(charger) is None
    assert (await task).totals()["sessions_cut"] == 0
    await _checked_offline(signed, signed.named("jetty"), tmp_path)
    said = await _passport_of(signed, signed.named("jetty"))
    found = await signed.stores.retirements.get(signed.named("jetty"))
    assert said["retirement"]["receipt_sha256"] == found.receipt_sha256
    assert said["charger"]["lifecycle"] == "retired"
    assert said["versions"], "it told its version when it booted"


async def _checked_offline(signed: Place, charger: str, tmp_path: Path) -> None:
    """Its receipt holds with the public key alone, and not once a byte of it is another."""
    async with signed.http(Role.VIEWER) as http:
        document = (await http.get(f"/api/v1/chargers/{charger}/receipt")).content
    assert signed.settings is not None
    public = signed.settings.keys / "record.pub.json"
    key = read_public(public)
    said = open_testimony(document, {key.keyid: key}).said
    assert said["charger"]["charger_id"] == charger
    assert said["wiped"] in ("wiped", "partly wiped")
    assert [step["step"] for step in said["steps"]] == [step.value for step in Step]
    file = tmp_path / "receipt.json"
    file.write_bytes(document)
    shown = CliRunner().invoke(
        cli, ["receipt", "verify", str(file), "--key", str(public), "--charger", charger]
    )
    assert shown.exit_code == 0, shown.output
    assert "The signature holds" in shown.output
    file.write_bytes(document.replace(b'"payload":"', b'"payload":"A', 1))
    assert CliRunner().invoke(cli, ["receipt", "verify", str(file), "--key", str(public)]).exit_code != 0


async def _passport_of(place: Place, charger: str) -> dict[str, Any]:
    """Its passport, by the real signer, checked with the public key alone."""
    async with place.http(Role.SECURITY) as http:
        made = await http.post(f"/api/v1/chargers/{charger}/passport", json={"reason": "sold"})
        assert made.status_code == 201, made.text
        document = (await http.get(made.headers["location"])).content
    assert place.settings is not None
    key = read_public(place.settings.keys / "record.pub.json")
    return open_testimony(document, {key.keyid: key}).said


async def _gone(place: Place, charger_id: str) -> bool:
    return await place.stores.routes.resolve(charger_id) is None


@pytest.mark.requirement("F47", "X1")
async def test_a_session_is_waited_for(signed: Place) -> None:
    charger = signed.named("jetty")
    async with signed.fleet("jetty", sessions=SessionPattern(busy_share=0.95)) as task:
        await signed.until(charger, lambda view: bool(view.twin.operation.transactions))
        await retire(signed, charger)

        async def waits() -> str:
            return (await signed.stores.retirements.get(charger)).waits_for

        assert await until(waits)
        assert (await signed.stores.chargers.get(charger)).charger.lifecycle is Lifecycle.RETIRING
    assert (await task).totals()["sessions_cut"] == 0
    handle = signed.client.get_workflow_handle(f"charger/{charger}")
    await handle.terminate("the test is over")


async def test_a_crash_after_each_step_repeats_it_and_loses_nothing(
    signed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit of each step's record is there, its answer never arrives: as if killed in between."""
    store, failed = type(signed.stores.retirements), set[str]()

    def once(name: str) -> None:
        real = getattr(store, name)

        async def crashing(self: Any, *args: Any) -> Any:
            done = await real(self, *args)
            mark = f"{name} {getattr(args[-1], 'step', '')}"
            if mark not in failed:
                failed.add(mark)
                raise EngineUnavailable("The database went away just then.")
            return done

        monkeypatch.setattr(store, name, crashing)

    for name in ("note", "bury", "close"):
        once(name)
    charger = signed.named("jetty")
    async with signed.fleet("jetty"):
        await retire(signed, charger)
        found = await receipted(signed, charger)
    assert [record.step for record in found.steps] == list(Step)
    assert len(failed) >= len(Step)
    rows = await signed.stores.audit.rows(limit=1000)
    told = [row.entry.action for row in rows if row.entry.subject == f"charger/{charger}"]
    assert told.count("charger.retired") == told.count("charger.retirement_receipted") == 1


@pytest.mark.requirement("F47")
async def test_one_that_nobody_reaches_is_retired_once_and_said_to_be_unwiped(signed: Place) -> None:
    charger = signed.named("jetty")
    async with signed.fleet("jetty"):
        pass
    await until(lambda: _gone(signed, charger))
    async with signed.http(Role.OPERATOR) as http:
        refused = await http.post(f"/api/v1/chargers/{charger}/decommission", json={"reason": "x"})
    assert refused.status_code == 403
    unknown = await retire(signed, "NOBODY")
    assert unknown.status_code == 404
    first, second = await asyncio.gather(
        retire(signed, charger, reason="sold", wait_minutes=0),
        retire(signed, charger, reason="stolen", wait_minutes=0),
    )
    assert first.status_code == second.status_code == 202
    assert first.json()["reason"] == second.json()["reason"]
    found = await receipted(signed, charger)
    assert found.wiped.value == "unwiped"
    states = {record.step: record.state for record in found.steps}
    assert states[Step.DRAIN] is states[Step.PASSWORD] is StepState.UNREACHED
    assert states[Step.BURY] is StepState.DONE
    again = await retire(signed, charger, reason="again")
    assert (again.status_code, again.json()["reason"]) == (202, first.json()["reason"])
