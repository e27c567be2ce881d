"""What people have the signer testify of chargers; part of ``client.Orchestrator``."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from storage.bundle import BundleOrder
from storage.ids import TASK_QUEUE, bundle_workflow_id, passport_workflow_id
from storage.passport import PassportOrder
from workflows.bundle import BundleWorkflow
from workflows.client_words import in_our_words, outcome
from workflows.options import OTA_CHARGER, keywords
from workflows.passport import PassportWorkflow

O = TypeVar("O", BundleOrder, PassportOrder)  # noqa: E741 - an order
R = TypeVar("R", int, str)


class TestimonyDoor:
    """Has documents put together and signed, and waits. The same order again goes on, or says the same."""

    __test__ = False
    """No test of pytest's, in spite of its name."""
    _client: Client
    _timeout: timedelta

    async def make_bundle(self, order: BundleOrder) -> int:
        """The evidence of a charger; how many lines it has.

        Raises EngineUnavailable: no signer was done in time.
        """
        workflow_id = bundle_workflow_id(order.bundle_id)
        await self._start(BundleWorkflow.run, order, workflow_id, f"evidence of {order.charger_id}")
        return await self._end(workflow_id, int)

    async def make_passport(self, order: PassportOrder) -> str:
        """The firmware passport of a charger; the SHA-256 of the signed document. Raises as above."""
        workflow_id = passport_workflow_id(order.passport_id)
        await self._start(PassportWorkflow.run, order, workflow_id, f"passport of {order.charger_id}")
        return await self._end(workflow_id, str)

    async def _end(self, workflow_id: str, kind: type[R]) -> R:
        handle: WorkflowHandle[Any, R] = self._client.get_workflow_handle(workflow_id, result_type=kind)
        return await outcome(
            handle,
            self._timeout,
            silence="The signer is not done yet.",
            hint="Ask again with the same key: it goes on meanwhile.",
        )

    @in_our_words
    async def _start(
        self, run: Callable[[Any, O], Awaitable[Any]], order: O, workflow_id: str, summary: str
    ) -> None:
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                run,
                order,
                id=workflow_id,
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=summary,
                search_attributes=keywords((OTA_CHARGER, order.charger_id)),
            )
