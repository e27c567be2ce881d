"""A renewal on a Temporal server, with activities that end exactly when they should not."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from activities.renewals import AttemptEnd, Due, PageOrder, PhaseOrder, RenewalNow, WaveOrder
from storage.ids import TASK_QUEUE
from storage.renewal import RenewalOutcome, RenewalPhase, RenewalPlan, WaveCounts
from workflows.certificate_renewal import RenewalEnd, RenewalInput
from workflows.options import remotely
from workflows.payloads import DATA_CONVERTER
from workflows.renewal import RenewalRun, RenewalWorkflow

pytestmark = pytest.mark.integration
PLAN = RenewalPlan("all", parallel=2, pause_seconds=0.1)
AWAY = 1


class Books:
    """Two chargers; the page with which the second is looked for is read before the first one ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: dict[str, RenewalOutcome | None] = {}
        self._read, self._noted = asyncio.Event(), asyncio.Event()
        self._phase = RenewalPhase.RUNNING

    @activity.defn
    async def load_renewal(self, _: str) -> RenewalNow:
        return RenewalNow(PLAN, self._phase, 1)

    @activity.defn
    async def measure_renewal_wave(self, _: WaveOrder) -> WaveCounts:
        return WaveCounts(2 - len(self.done), {})

    @activity.defn
    async def find_renewable(self, _: PageOrder) -> tuple[Due, ...]:
        first, second = Due(0, "CP1", 0), Due(1, "CP2", 0)
        if not self.begun:
            return (first,)
        page = tuple(each for each in (first, second) if each.charger_id not in self.done)
        self._read.set()
        await self._noted.wait()
        return page

    @activity.defn
    async def renew_one(self, charger_id: str) -> None:
        self.begun.append(charger_id)
        await self._read.wait()

    @activity.defn
    async def note_attempt(self, given: AttemptEnd) -> None:
        self.done[given.due.charger_id] = given.outcome
        self._noted.set()

    @activity.defn
    async def close_renewal_wave(self, _: WaveOrder) -> int:
        return 0

    @activity.defn
    async def set_renewal_phase(self, given: PhaseOrder) -> None:
        self._phase = given.phase


class Waves:
    """A wave of two of which one is away until it is over, and one charger behind it."""

    def __init__(self) -> None:
        self.open = {0: 0, AWAY: 0, 2: 1}
        self.begun: list[int] = []
        self.ended: list[str] = []
        self._phase = RenewalPhase.RUNNING

    @activity.defn
    async def load_renewal(self, _: str) -> RenewalNow:
        return RenewalNow(replace(PLAN, max_failed_share=0.5), self._phase, 2)

    @activity.defn
    async def measure_renewal_wave(self, given: WaveOrder) -> WaveCounts:
        left = sum(wave == given.wave for wave in self.open.values())
        return WaveCounts(left, {"renewed": len(self.begun)})

    @activity.defn
    async def find_renewable(self, given: PageOrder) -> tuple[Due, ...]:
        here = [number for number, wave in self.open.items() if wave == given.wave]
        return tuple(Due(number, f"CP{number}", 0) for number in here if given.wave or number != AWAY)

    @activity.defn
    async def renew_one(self, _: str) -> None:
        return

    @activity.defn
    async def note_attempt(self, given: AttemptEnd) -> None:
        self.begun.append(given.due.ordinal)
        del self.open[given.due.ordinal]

    @activity.defn
    async def carry_renewal_wave(self, given: WaveOrder) -> int:
        self.open = {number: max(wave, given.wave + 1) for number, wave in self.open.items()}
        return len(self.open)

    @activity.defn
    async def close_renewal_wave(self, given: WaveOrder) -> int:
        self.ended.append(f"wave {given.wave} without {sorted(self.open)}")
        return 0

    @activity.defn
    async def set_renewal_phase(self, given: PhaseOrder) -> None:
        self._phase = given.phase


class Failing(Waves):
    """A canary that fails, and nobody who looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[tuple[RenewalPhase, str]] = []

    @activity.defn
    async def load_renewal(self, _: str) -> RenewalNow:
        return RenewalNow(replace(PLAN, hold_seconds=0.1), self._phase, 2)

    @activity.defn
    async def measure_renewal_wave(self, _: WaveOrder) -> WaveCounts:
        return WaveCounts(0, {"failed": 3})

    @activity.defn
    async def set_renewal_phase(self, given: PhaseOrder) -> None:
        self._phase = given.phase
        self.phases.append((given.phase, given.reason))


@workflow.defn(name="CertificateRenewalWorkflow")
class OneCharger:
    @workflow.run
    async def run(self, given: RenewalInput) -> RenewalEnd:
        await remotely(Books.renew_one, given.charger_id, "as long as the test wants")
        return RenewalEnd(RenewalOutcome.RENEWED, "it came", "AB")


@pytest.mark.requirement("F40")
async def test_who_is_done_while_the_page_is_read_is_not_renewed_again(real_env: Any) -> None:
    books = Books()
    await renewed(real_env, books)
    assert books.begun == ["CP1", "CP2"]
    assert books.done == dict.fromkeys(("CP1", "CP2"), RenewalOutcome.RENEWED)


@pytest.mark.requirement("F40")
async def test_one_that_is_away_does_not_hold_up_the_next_wave_for_a_day(real_env: Any) -> None:
    waves = Waves()
    await renewed(real_env, waves, waves.carry_renewal_wave)
    assert waves.begun[0] == 0
    assert set(waves.begun[1:]) == {AWAY, 2}, "nothing could change the verdict on the first wave any more"
    assert waves.ended == ["wave 1 without []"], "it had its turn in the next one"


@pytest.mark.requirement("F40")
async def test_a_renewal_that_nobody_began_does_not_hold_for_ever(real_env: Any) -> None:
    """It would keep every other scheduled one from beginning until all certificates have ended."""
    failing = Failing()
    await renewed(real_env, failing)
    assert [each.value for each, _ in failing.phases] == ["held", "aborted"]
    assert "nobody resumed it: 3 of 3 failed" in failing.phases[-1][1]


async def renewed(real_env: Any, books: Any, *more: Any) -> None:
    """Run a renewal over these books to its end."""
    server = real_env.client.service_client.config.target_host
    client = await Client.connect(server, namespace=real_env.client.namespace, data_converter=DATA_CONVERTER)
    activities = [
        books.load_renewal,
        books.measure_renewal_wave,
        books.find_renewable,
        books.renew_one,
        books.note_attempt,
        books.close_renewal_wave,
        books.set_renewal_phase,
        *more,
    ]
    workflow_id = f"renewal/{type(books).__name__}"
    async with (
        asyncio.timeout(60),
        Worker(client, task_queue=TASK_QUEUE, workflows=[RenewalWorkflow, OneCharger], activities=activities),
    ):
        await client.execute_workflow(
            RenewalWorkflow.run, RenewalRun("r1"), id=workflow_id, task_queue=TASK_QUEUE
        )
