"""Chargers renew their certificates over real mTLS: a mixed fleet with faults, and single ones that ask."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from temporalio.service import RPCError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from csms.commands import TriggerKind, TriggerMessage
from csms.pki.crl import look_up, read_lists
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.spec import ChargerSpec
from storage.certificate import CertificatePhase
from storage.clock import system_clock
from storage.ids import TASK_QUEUE, charger_workflow_id
from storage.renewal import Renewal, RenewalOutcome, RenewalPhase, RenewalPlan
from tests.support.renewal_stage import Stage, stage
from workflows.certificate_watch import CertificateWatchWorkflow

pytestmark = pytest.mark.integration
BRANDS = tuple(PERSONALITIES)
PLAN = RenewalPlan("all", canary=2, growth=8, pause_seconds=0.2, request_seconds=20, proof_seconds=40)
FAULTS = (
    NetworkFault(FaultKind.DUPLICATE_FRAME, share=0.2, action="SignCertificate"),
    NetworkFault(FaultKind.DELAY_FRAME, share=0.2, amount=0.1),
    NetworkFault(FaultKind.REORDER_FRAME, share=0.2, amount=0.5),
    NetworkFault(FaultKind.DROP_SOCKET, share=0.2, after_s=4),
    NetworkFault(FaultKind.CLOCK_UNSET, share=0.2),
)


@pytest.fixture
async def place(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with stage(tmp_path, database=database, s3=s3_settings, temporal=embedded_temporal) as made:
        yield made


async def knock(place: Stage, spec: ChargerSpec, chain: str, key: str) -> int:
    """Try to open a socket with a certificate; the HTTP status."""
    context = ssl.create_default_context(cafile=place.bench.root_file)
    pair = place.bench.folder / "knock.pem", place.bench.folder / "knock.key"
    for path, text in zip(pair, (chain, key), strict=True):
        path.write_text(text)
    context.load_cert_chain(*pair)
    try:
        async with connect(
            f"{place.url}/{spec.charger_id}", ssl=context, subprotocols=["ocpp1.6"], proxy=None
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def begin(place: Stage, specs: tuple[ChargerSpec, ...], plan: RenewalPlan = PLAN) -> str:
    new = Renewal(f"r-{place.tag}", plan, RenewalPhase.RUNNING, "", "ada", system_clock(), len(specs), 0)
    await place.stores.renewals.create(new, [spec.charger_id for spec in specs])
    await place.orchestrator.start_renewal(new.renewal_id)
    return new.renewal_id


@pytest.mark.requirement("F40", "S55", "S57")
async def test_a_mixed_fleet_renews_in_waves_and_the_old_certificates_are_refused(place: Stage) -> None:
    specs = await place.enrolled(16, sites=3, names=BRANDS)
    async with place.fleet(specs, faults=FAULTS) as running:
        await place.introduced(specs)
        renewal_id = await begin(place, specs)
        done = await place.renewal_over(renewal_id, seconds=120)
        targets = await place.stores.renewals.targets(renewal_id)
        assert done.phase is RenewalPhase.COMPLETED, targets
        assert done.counts == {"renewed": 8, "taken": 8}, targets
        for target, spec in zip(targets, specs, strict=True):
            held = {each.serial: each for each in await place.stores.certificates.of_charger(spec.charger_id)}
            new = held[target.serial or ""]
            if spec.certificate is None:
                assert (target.outcome, new.phase) == (RenewalOutcome.TAKEN, CertificatePhase.DELIVERED)
                continue
            view = await place.stores.chargers.get(spec.charger_id)
            assert view.twin.security is not None
            assert view.twin.security.certificate_serial == target.serial
            assert new.phase is CertificatePhase.PROVEN
            assert held[place.first[spec.charger_id]].phase is CertificatePhase.REVOKED
            assert await knock(place, spec, spec.certificate, spec.key or "") in (401, 403)
        assert not running.done()
    await said_to_everybody(place, specs)


async def said_to_everybody(place: Stage, specs: tuple[ChargerSpec, ...]) -> None:
    """The list and the answers that anybody may fetch say what was revoked."""
    await watched(place)
    authority = (place.settings.signer_ca_certificate_file or Path()).read_bytes()
    issuer = x509.load_pem_x509_certificates(authority)[0]
    gone = next(spec for spec in specs if spec.certificate)
    leaf = x509.load_pem_x509_certificates((gone.certificate or "").encode())[0]
    transport = httpx2.ASGITransport(app=place.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://pki.test") as http:
        lists = read_lists((await http.get("/pki/chargers.crl")).content)
        assert look_up(leaf.serial_number, issuer, lists, system_clock()).status.value == "revoked"
        question = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1()).build()
        der = question.public_bytes(Encoding.DER)
        answer = ocsp.load_der_ocsp_response((await http.post("/pki/ocsp", content=der)).content)
        assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
        for rubbish in (b"", b"hello", b"x" * 5000):
            said = ocsp.load_der_ocsp_response((await http.post("/pki/ocsp", content=rubbish)).content)
            assert said.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def requested(place: Stage, charger_id: str) -> None:
    """Wait until the charger's signing request is stored."""
    async with asyncio.timeout(30), place.stores.events.changes() as changes:
        while not await place.stores.certificates.open_requests(system_clock() - timedelta(hours=1)):
            await anext(changes)


async def watched(place: Stage) -> None:
    """One look, as the schedule does it."""
    await place.client.execute_workflow(
        CertificateWatchWorkflow.run, id=f"watch-{secrets.token_hex(4)}", task_queue=TASK_QUEUE
    )


async def shown(place: Stage, charger_id: str, other_than: str) -> str:
    """The certificate that the charger comes with, once it is another one."""
    async with asyncio.timeout(60), place.stores.events.changes() as changes:
        while True:
            security = (await place.stores.chargers.get(charger_id)).twin.security
            if security and security.certificate_serial not in (None, other_than):
                return str(security.certificate_serial)
            await anext(changes)


@pytest.mark.requirement("F40", "S56")
async def test_a_charger_asks_by_itself_and_what_was_killed_is_done_at_the_next_look(place: Stage) -> None:
    specs = await place.enrolled(1, sites=1, names=BRANDS[-1:])
    (spec,) = specs
    old = place.first[spec.charger_id]
    async with place.fleet(specs):
        await place.introduced(specs)
        route = await place.stores.routes.resolve(spec.charger_id)
        assert route is not None
        ask = TriggerMessage(TriggerKind.SIGN_CHARGING_STATION)
        await place.gateway.send(spec.charger_id, route.session_epoch, ask, deadline_s=10)
        await requested(place, spec.charger_id)
        await watched(place)
        new = await shown(place, spec.charger_id, old)
        # The workflow is killed wherever it is now; nothing that it took may keep the charger out.
        with suppress(RPCError):
            await place.client.get_workflow_handle(charger_workflow_id(spec.charger_id)).terminate("killed")
        await watched(place)
        held = {
            each.serial: each.phase for each in await place.stores.certificates.of_charger(spec.charger_id)
        }
        assert held == {new: CertificatePhase.PROVEN, old: CertificatePhase.REVOKED}
        link = (await place.stores.chargers.get(spec.charger_id)).twin.connectivity
        assert link is not None
        assert link.online
