"""A higher profile as a job brings it about (A05; TC_A_19, 1.6: TC_083), each frame before a strict peer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.connection import ConnectionSender
from activities.connection_orders import ConnectionAnswer, ConnectionOrder, ConnectionStep
from activities.orders import DispatchKind, Node
from csms.pki.roots import root_hashes
from storage.clock import system_clock
from storage.connection import Connection
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.out_of_service import PostgresOutOfServiceStore
from storage.renewal import FleetWork, Renewal, RenewalPhase, RenewalPlan, spelled
from tests.integration.conformance.secure import Secured, secured
from tests.integration.conformance.station import CHARGER
from tests.integration.conformance.test_a_profiles import PRIORITY, V2, never_lower, way_of
from tests.integration.conformance.wire import OCPP16
from tests.support.memory_certificates import MemoryCertificates, MemoryRenewals
from tests.unit.activities.world import World

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F41", "F54", "S61")]
ACTIVE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "ActiveNetworkProfile"}}


class Job:
    """The steps of one job over the node of a test."""

    def __init__(self, csms: Any, tls: Secured) -> None:
        self.url = f"wss://127.0.0.1:{csms.node.ports[-1]}/ocpp"
        self._csms, engine = csms, csms.place.engine
        stores = replace(
            World().stores,
            chargers=csms.place.chargers,
            leases=PostgresLeaseStore(engine),
            out_of_service=PostgresOutOfServiceStore(engine),
            clock=system_clock,
        )
        world = World()
        node = Node(stores, csms.node, world.node.verifier, world.node.office)
        names = tuple(spelled(each) for each in root_hashes(tls.servers.pem))
        plan = RenewalPlan(
            "up",
            work=FleetWork.RAISE_PROFILE,
            root=tls.servers.pem,
            root_names=names,
            connection=Connection(self.url, 2),
        )
        renewals = MemoryRenewals()
        renewals.rows["r1"] = Renewal("r1", plan, RenewalPhase.RUNNING, "", "ada", system_clock(), 1, 1)
        self._sender = ConnectionSender(node, MemoryCertificates(), renewals)  # type: ignore[arg-type]
        self.root = next(each for each in root_hashes(tls.servers.pem) if each.algorithm.value == "SHA256")

    async def step(self, step: ConnectionStep, **more: Any) -> ConnectionAnswer:
        route = await self._csms.place.routes.resolve(CHARGER)
        order = ConnectionOrder("r1", CHARGER, route.session_epoch, step, 60.0, **more)
        answer = await self._sender.advance_connection(order)
        assert answer.kind is DispatchKind.ACCEPTED, answer.reason
        return answer

    def listed(self) -> dict[str, str]:
        """The root as a station lists it."""
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": self.root.issuer_name_hash,
            "issuerKeyHash": self.root.issuer_key_hash,
            "serialNumber": self.root.serial_number,
        }


@V2
async def test_tc_a_19_step_by_step(csms: Any, version: str, tmp_path: Path) -> None:
    tls = await secured(csms, tmp_path)
    job = Job(csms, tls)
    async with csms.station(version, **way_of(tls, 1)) as station:
        await station.ready()
        chain = {"certificateType": "CSMSRootCertificate", "certificateHashData": job.listed()}
        station.will_answer("GetInstalledCertificateIds", status="Accepted", certificateHashDataChain=[chain])
        told = [{**each, "attributeStatus": "Accepted", "attributeValue": "1"} for each in (ACTIVE, PRIORITY)]
        station.will_answer("GetVariables", getVariableResult=told)
        checked = await job.step(ConnectionStep.CHECK)
        assert (checked.slots, checked.before, checked.active) == ((2, 3), "1", 1)
        for action in ("ChangeAvailability", "SetNetworkProfile", "Reset"):
            station.will_answer(action, status="Accepted")
        station.will_answer(
            "SetVariables", setVariableResult=[{**PRIORITY, "attributeStatus": "RebootRequired"}]
        )
        written = await job.step(ConnectionStep.WRITE, slots=checked.slots, profile=2)
        assert written.slots == (2,)
        await job.step(ConnectionStep.PREFER, priority="2,1")
        await job.step(ConnectionStep.RESTART)
        assert await station.heard("ChangeAvailability") == {"operationalStatus": "Inoperative"}
        connection = (await station.heard("SetNetworkProfile"))["connectionData"]
        assert (connection["ocppCsmsUrl"], connection["securityProfile"]) == (job.url, 2)
        (sent,) = (await station.heard("SetVariables"))["setVariableData"]
        assert sent == {**PRIORITY, "attributeValue": "2,1"}
        assert await station.heard("Reset") == {"type": "OnIdle"}
    await never_lower(csms, version, tls, 2)


async def test_tc_083_step_by_step(csms: Any, tmp_path: Path) -> None:
    tls = await secured(csms, tmp_path)
    job = Job(csms, tls)
    async with csms.station(OCPP16, **way_of(tls, 1)) as station:
        await station.ready()
        station.will_answer(
            "GetInstalledCertificateIds", status="Accepted", certificateHashData=[job.listed()]
        )
        key = {"key": "SecurityProfile", "readonly": False, "value": "1"}
        station.will_answer("GetConfiguration", configurationKey=[key])
        assert (await job.step(ConnectionStep.CHECK)).by_itself
        for action in ("ChangeAvailability", "ChangeConfiguration"):
            station.will_answer(action, status="Accepted")
        await job.step(ConnectionStep.WRITE, profile=2)
        assert await station.heard("ChangeConfiguration") == {"key": "SecurityProfile", "value": "2"}
    await never_lower(csms, OCPP16, tls, 2)
