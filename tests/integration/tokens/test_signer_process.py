"""``ampwave signer`` on a token, killed in the middle: no signature fails, is lost or is made twice (S63)."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.signer import DirectiveOrder, SignerActivities, StagedFacts
from api import bootstrap
from signing.directive import open_envelope
from signing.ports import ReleaseStamp
from signing.trust_source import TrustSource, fetch_from
from storage.campaign import Approval, Campaign, CampaignPhase, CampaignPlan, Target, WavePlan
from storage.charger import ChargerFilter
from storage.clock import system_clock
from storage.plan_digest import plan_digest
from tests.support.softhsm import SoftHsm
from tests.support.token_house import ROLE, TokenHouse, kill, token_house
from workflows.options import by_signer

pytestmark = pytest.mark.integration

CALLERS = 8
JOBS = 6
PER_SHARD = 3
QUEUE = "callers"


@workflow.defn
class Directing:
    """One caller: one directive after the other."""

    @workflow.run
    async def run(self, orders: list[DirectiveOrder]) -> list[str]:
        return [await by_signer(SignerActivities.sign_directive, order, "sign") for order in orders]


@workflow.defn
class Staging:
    @workflow.run
    async def run(self, artifact_id: str) -> StagedFacts:
        return await by_signer(SignerActivities.stage_release, artifact_id, "stage")


@workflow.defn
class Publishing:
    @workflow.run
    async def run(self, artifact_id: str) -> ReleaseStamp:
        return await by_signer(SignerActivities.publish_release, artifact_id, "publish")


@dataclass
class Callers:
    """Those who ask the signer, and what they ask for."""

    house: TokenHouse
    client: Client
    done: int = 0
    published: list[ReleaseStamp] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def campaign(self, artifact_id: str) -> None:
        names = tuple(f"CP{number:03d}" for number in range(CALLERS * PER_SHARD))
        plan = CampaignPlan("rollout", artifact_id, ChargerFilter(), (WavePlan("all", 1.0),))
        digest, store = plan_digest(plan, [names]), self.house.stores.campaigns
        targets = [
            Target("c1", 0, number, name, "s1", artifact_id, "1.0", "1.1")
            for number, name in enumerate(names)
        ]
        now = system_clock()
        await store.create(Campaign("c1", plan, digest, CampaignPhase.DRAFT, "ada", now), targets, [])
        await store.add_approval("c1", Approval("grace", now, digest))
        await store.set_phase("c1", CampaignPhase.RUNNING, "", now)

    async def ask(self, kind: Any, given: Any, name: str) -> Any:
        return await self.client.execute_workflow(kind.run, given, id=name, task_queue=QUEUE)

    async def direct(self, shard: int) -> list[str]:
        """Directives for one shard, each a workflow of its own."""
        made = []
        for issue in range(1, JOBS + 1):
            order = DirectiveOrder("c1", 0, shard, issue, shard * PER_SHARD, PER_SHARD, 3600.0)
            made += await self.ask(Directing, [order], f"caller/{shard}/{issue}")
            self.done += 1
            self.moved.set()
        return made

    async def release(self) -> str:
        """From the upload to what readers see, through the signer."""
        artifact = await self.house.upload()
        await self.ask(Staging, artifact.artifact_id, f"stage/{artifact.version}")
        staged = await self.house.stores.artifacts.staged(artifact.artifact_id)
        assert staged is not None
        for sign_off in await self.house.sign_off(staged):
            await self.house.stores.artifacts.add_sign_off(sign_off)
        stamp = await self.ask(Publishing, artifact.artifact_id, f"publish/{artifact.version}")
        self.published.append(stamp)
        return artifact.artifact_id

    async def until(self, done: int) -> None:
        async with asyncio.timeout(120):
            while self.done < done:
                self.moved.clear()
                await self.moved.wait()


@pytest.fixture
async def callers(
    token: SoftHsm, tmp_path: Path, s3_settings: Any, database: str, embedded_temporal: Any
) -> AsyncIterator[Callers]:
    async with token_house(token, tmp_path, s3_settings, database, embedded_temporal) as house:
        client = await bootstrap.connect_temporal(house.settings)
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[Directing, Staging, Publishing],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield Callers(house, client)


@pytest.mark.requirement("S63", "S9")
async def test_eight_callers_and_a_signer_that_is_killed(
    callers: Callers, token: SoftHsm, tmp_path: Path
) -> None:
    house, log, files = callers.house, tmp_path / "signer.log", token.files()
    signer = house.start_signer(log)
    try:
        await callers.campaign(await callers.release())
        work = [asyncio.create_task(callers.direct(shard)) for shard in range(CALLERS)]
        releasing = asyncio.create_task(callers.release())
        await callers.until(CALLERS * JOBS // 4)
        kill(signer)
        token.put_back(files)
        signer = house.start_signer(log)
        made = await asyncio.gather(*work)
        await releasing
    finally:
        code = kill(signer, signal.SIGTERM)
    assert code == 0, log.read_text()[-2000:]

    # None failed, none is missing.
    wanted = {f"c1.0.{shard}.{issue}" for shard in range(CALLERS) for issue in range(1, JOBS + 1)}
    assert sorted(name for names in made for name in names) == sorted(wanted)
    source = TrustSource(fetch_from(house.stores.blobs), house.root)
    trust = await source.current(system_clock())
    stored = [await house.stores.campaigns.directive("c1", 0, shard) for shard in range(CALLERS)]
    for shard, signed in enumerate(stored):
        assert signed is not None
        directive, _ = open_envelope(signed, trust.policy.directive_keys)
        assert directive.directive_id == f"c1.0.{shard}.{JOBS}"
    # None is made twice: each job is on record once, but for one that was cut off between its two writes.
    rows = await house.stores.audit.rows(limit=1000)
    told = [row.entry.detail["directive"] for row in rows if row.entry.action == "directive.signed"]
    assert sorted(set(told)) == sorted(wanted)
    assert len(told) - len(set(told)) <= 1, (
        "only the job that was cut off between its two writes says it twice"
    )
    # Both releases are there, at versions without a gap.
    await source.role(trust, ROLE)
    assert set(trust.role(ROLE).targets) == {f"{ROLE}/1.{n}/firmware.bin" for n in (1, 2)}
    assert [stamp.role_version for stamp in callers.published] == [2, 3]


@pytest.mark.requirement("S63")
async def test_a_second_signer_stands_by_and_takes_over_when_the_first_is_killed(
    callers: Callers, token: SoftHsm, tmp_path: Path
) -> None:
    logs, files = [tmp_path / "first.log", tmp_path / "second.log"], token.files()
    first = callers.house.start_signer(logs[0])
    second = None
    try:
        await said(logs[0], "signer.serving")
        second = callers.house.start_signer(logs[1])
        standing = await said(logs[1], "signer.standing_by")
        assert "another signer with these keys is at work" in standing["why"]
        kill(first)
        token.put_back(files)
        await said(logs[1], "signer.serving")
        assert await callers.release()
        assert kill(second, signal.SIGTERM) == 0
    finally:
        for process in (first, second):
            if process is not None and process.poll() is None:
                kill(process)


async def said(log: Path, event: str) -> dict[str, Any]:
    """The line of a log, as soon as it is there."""
    async with asyncio.timeout(120):
        while not (found := find_line(log, event)):  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.05)
    return found


def find_line(log: Path, event: str) -> dict[str, Any]:
    lines = log.read_text().splitlines() if log.exists() else []
    return next((json.loads(line) for line in lines if event in line and line.startswith("{")), {})
