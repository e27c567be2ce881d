"""Row ``provisioning``: chargers from a file, by claims and by their factories' keys, to active, over TLS."""

import asyncio
import csv
import io
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from cryptography import x509
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.spec import ChargerSpec
from signing.ca.key import key_digest
from signing.keys import ensure_key_file, file_address, open_signer
from signing.manifest import sign_manifest
from storage.access import Role
from storage.charger import ModelProfile, Site
from storage.ids import TASK_QUEUE
from storage.provisioning import Enrolment, EnrolmentState
from tests.benchmarks.life_ground import away, caller, chargers, ground
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.pki import Authority, key
from tests.support.renewal_stage import Stage
from tests.support.tls_bench import TlsBench
from workflows.certificate_watch import CertificateWatchWorkflow
from workflows.life_watch import LifeWatchWorkflow

CHARGERS = 500
OTHERS = 20
"""Each way beside the file: by claim, and by a factory's key where profile 2 or 3 is wanted."""
REFUSED = {httpx2.codes.FORBIDDEN, httpx2.codes.TOO_MANY_REQUESTS}
"""The second: it was refused ten times within a minute."""
NAMES = ("larkspur", "jetty", "estuary")
FACTORY = "jetty"
URL = "/api/v1/provisioning"
TEMPLATE = {
    "parameters": [{"name": "site.supply_limit_a", "type": "integer", "minimum": 6, "maximum": 400}],
    "ocpp16": {"ConnectionTimeOut": "{site.supply_limit_a}"},
    "ocpp2": {},
    "attestations": ["rcd-test"],
}


@dataclass
class Factory:
    """A manufacturer: its authority, the key that signs its lists, its units with their certificates."""

    bench: TlsBench

    def __post_init__(self) -> None:
        self.maker = Authority.root("Maker CA", self.bench.now)
        self.ca_file = self.maker.write(self.bench.folder / "maker-ca.pem")
        self.keys = self.bench.folder / "makers"
        self.keys.mkdir()
        self.key = ensure_key_file(self.keys / "maker.pem")
        (self.keys / "maker.vendor").write_text(PERSONALITIES[FACTORY].vendor)

    def settings(self) -> dict[str, Any]:
        """What a deployment says of it."""
        return {"csms_manufacturer_ca_files": (self.ca_file,), "manufacturer_keys_dir": self.keys}

    def made(self, spec: ChargerSpec) -> ChargerSpec:
        """The same with what its factory gave it."""
        issued = self.maker.leaf(spec.serial, key=key("ec", spec.serial))
        return replace(spec, certificate=issued.chain_pem().decode(), key=issued.key_pem().decode())

    def listed(self, specs: Sequence[ChargerSpec]) -> bytes:
        """Its signed list of these."""
        who = PERSONALITIES[FACTORY]
        units = [
            {"serial_number": spec.serial, "model": who.model, "key_sha256": _key_of(spec)} for spec in specs
        ]
        signer = open_signer(file_address(self.keys / "maker.pem"), [self.key])
        return sign_manifest(who.vendor, secrets.token_hex(4), "production", units, signer)


def _key_of(spec: ChargerSpec) -> str:
    return key_digest(x509.load_pem_x509_certificates((spec.certificate or "").encode())[0])


@dataclass
class Newcomers:
    """Everybody who comes, by the way in."""

    by_file: tuple[ChargerSpec, ...]
    by_claim: tuple[ChargerSpec, ...]
    by_key: tuple[ChargerSpec, ...]
    by_key_3: tuple[ChargerSpec, ...]
    """Of these security profile 3 is wanted; all that come by a certificate get one of their own."""
    unlisted: ChargerSpec

    @property
    def welcome(self) -> tuple[ChargerSpec, ...]:
        return (*self.by_file, *self.by_claim, *self.by_key, *self.by_key_3)


def newcomers(factory: Factory, tag: str, count: int, others: int) -> Newcomers:
    """Chargers that nobody knows yet."""

    def some(way: str, number: int, *names: str) -> tuple[ChargerSpec, ...]:
        return tuple(
            ChargerSpec(
                f"{way}-{each:04d}-{tag}", "site-01", f"SN{way}{each:04d}{tag}", secrets.token_hex(20),
                names[each % len(names)],
            )
            for each in range(number)
        )  # fmt: skip

    return Newcomers(
        some("F", count, *NAMES),
        some("C", others, *NAMES),
        tuple(map(factory.made, some("K", others, FACTORY))),
        tuple(map(factory.made, some("Z", others, FACTORY))),
        factory.made(some("U", 1, FACTORY)[0]),
    )


async def measure_provisioning(world: World) -> list[Row]:
    """All the ways in at once; an unlisted one is refused and seen."""
    made: list[Factory] = []

    def more(bench: TlsBench) -> dict[str, Any]:
        made.append(Factory(bench))
        return made[0].settings()

    count, others = world.sized(CHARGERS, 3), world.sized(OTHERS, 1)
    async with ground(world, "provisioning", more) as place:
        coming = newcomers(made[0], place.tag, count, others)
        await _ready(place)
        admin, installer = await caller(place, Role.ADMIN), await caller(place, Role.INSTALLER)
        async with admin, installer:
            began = time.perf_counter()
            claimed = await _let_in(admin, installer, made[0], coming)
            say(f"provisioning: {len(coming.welcome)} are expected after {time.perf_counter() - began:.0f} s")
            coming = replace(coming, by_claim=claimed)
            async with chargers(world, place, (*coming.welcome, coming.unlisted), per_s=25):
                active = await _watched(place, installer, [each.charger_id for each in coming.welcome])
                took = time.perf_counter() - began
                lost = await _all_back(place, coming.welcome)
                status = await _knock(place, coming.unlisted)
            seen = (await admin.get(f"{URL}/strangers")).json()["items"]
    strangers = [each["charger_id"] for each in seen]
    say(
        f"provisioning: {active} of {len(coming.welcome)} active in {took:.0f} s; not back {lost[:5]};"
        f" strangers {strangers}"
    )
    told = (
        f"chargers/s to active: {active} of {len(coming.welcome)} ({count} from a file, {others} by claims,"
        f" {2 * others} by their factory's key) in {took:.0f} s; {len(lost)} cannot come back afterwards;"
        f" unlisted: HTTP {status}"
    )
    return [
        Row(
            *("provisioning", active / took, told, None, None, None),
            target="all active, unlisted refused",
            met=active == len(coming.welcome)
            and not lost
            and status in REFUSED
            and strangers == [coming.unlisted.charger_id],
        )
    ]


async def _ready(place: Stage) -> None:
    await place.stores.chargers.put_site(Site("site-01", "Depot", "UTC", 10_000))
    for name in NAMES:
        who = PERSONALITIES[name]
        await place.stores.chargers.put_model(ModelProfile(who.vendor, who.model))


async def _let_in(
    admin: httpx2.AsyncClient, installer: httpx2.AsyncClient, factory: Factory, coming: Newcomers
) -> tuple[ChargerSpec, ...]:
    """What people do beforehand; back come those with a claim, with the password that it brought."""
    await _put(admin, "templates/depot", TEMPLATE)
    await _put(admin, "sites/site-01/constraints", {"values": {"supply_limit_a": "63"}})
    text = _csv(coming.by_file)
    for dry in (True, False):
        answer = await admin.post(
            f"{URL}/enrolments", content=text, headers={"Content-Type": "text/csv"}, params={"dry_run": dry}
        )
        if answer.json()["refused"]:
            raise AssertionError(answer.text[:1000])
    for units, profile in ((coming.by_key, 2), (coming.by_key_3, 3)):
        where = {"site_id": "site-01", "profile": profile}
        await _posted(admin, "manifests", content=factory.listed(units), params=where)
    claimed = []
    for spec in coming.by_claim:
        who = PERSONALITIES[spec.personality]
        row = {
            "charger_id": spec.charger_id, "site_id": "site-01", "vendor": who.vendor, "model": who.model,
            "serial_number": spec.serial, "profile": 2,
        }  # fmt: skip
        await _posted(admin, "enrolments", json=[row])
        about = {"serial_number": spec.serial, "site_id": "site-01"}
        leave = {**about, "charger_id": spec.charger_id, "issued_to": "Ida"}
        claim = (await _posted(admin, "claims", json=leave))["claim"]
        given = await _posted(installer, "claims/redeem", json={**about, "claim": claim})
        claimed.append(replace(spec, password=given["password"]))
    return tuple(claimed)


async def _put(who: httpx2.AsyncClient, path: str, body: Any) -> None:
    (await who.put(f"{URL}/{path}", json=body)).raise_for_status()


async def _posted(who: httpx2.AsyncClient, path: str, **given: Any) -> Any:
    answer = await who.post(f"{URL}/{path}", **given)
    if answer.is_error:
        raise AssertionError(answer.text[:1000])
    return answer.json()


def _csv(specs: Sequence[ChargerSpec]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["charger_id", "site_id", "vendor", "model", "serial_number", "password", "profile", "template"]
    )
    for spec in specs:
        who = PERSONALITIES[spec.personality]
        writer.writerow(
            [spec.charger_id, "site-01", who.vendor, who.model, spec.serial, spec.password, 2, "depot"]
        )
    return text.getvalue().encode()


async def _watched(place: Stage, installer: httpx2.AsyncClient, charger_ids: list[str]) -> int:
    """Do what the schedules do, and what an installer does, until all are active; how many are."""
    told, attested, deadline = 0.0, set[str](), time.perf_counter() + 2400
    while True:
        found = await place.stores.enrolments.find(limit=len(charger_ids) + 10)
        active = sum(each.state is EnrolmentState.ACTIVE for each in found)
        if time.perf_counter() - told > 30:
            told = time.perf_counter()
            waits = Counter((each.state.value, each.waits_for[:80]) for each in found)
            say(f"provisioning: {waits.most_common(6)}")
        if active == len(charger_ids) or time.perf_counter() > deadline:
            return active
        await _attested(installer, found, attested)
        for watch in (LifeWatchWorkflow, CertificateWatchWorkflow):
            await place.client.execute_workflow(
                watch.run, id=f"watch-{secrets.token_hex(4)}", task_queue=TASK_QUEUE
            )
        await asyncio.sleep(1)


async def _all_back(place: Stage, specs: Sequence[ChargerSpec]) -> list[str]:
    """Let every socket go; who does not come back has nothing of its own to come with."""
    for session in place.gateway._registry.all():
        await session.close(1012, "service restart")
    return await away(place, [spec.charger_id for spec in specs])


async def _attested(installer: httpx2.AsyncClient, found: Sequence[Enrolment], attested: set[str]) -> None:
    for each in found:
        if each.template and each.state is EnrolmentState.CONFIGURED and each.charger_id not in attested:
            attested.add(each.charger_id)
            body = {"name": "rcd-test", "passed": True, "value": "21 ms"}
            await _posted(installer, f"enrolments/{each.charger_id}/attestations", json=body)


async def _knock(place: Stage, spec: ChargerSpec) -> int:
    """What the server says to a manufacturer's certificate that is on no list."""
    context: Any = ssl.create_default_context(cafile=place.bench.root_file)
    pair = place.bench.folder / "unlisted.pem", place.bench.folder / "unlisted.key"
    for path, text in zip(pair, (spec.certificate, spec.key), strict=True):
        path.write_text(text or "")
    context.load_cert_chain(*pair)
    try:
        async with connect(
            f"{place.url}/{spec.charger_id}", ssl=context, subprotocols=["ocpp2.0.1"], proxy=None
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code
