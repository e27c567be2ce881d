"""What people ask of certificate workflows; part of ``client.Orchestrator``."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.certificates import HandedIn, IssueAnswer, RevokeOrder
from storage.canonical import sha256_hex
from storage.errors import Conflict, EngineUnavailable
from storage.ids import TASK_QUEUE, charger_workflow_id, renewal_workflow_id
from workflows.certificate_desk import CertificateIssuanceWorkflow, CertificateRevocationWorkflow
from workflows.certificate_renewal import CertificateRenewalWorkflow, RenewalInput
from workflows.client_words import asked, in_our_words, sentence
from workflows.options import OTA_CHARGER, keywords
from workflows.renewal import RenewalRun, RenewalWorkflow
from workflows.signals import PersonRequest


class CertificateDesk:
    """Starts renewals and has the signer issue and revoke."""

    _client: Client
    _timeout: timedelta

    @in_our_words
    async def renew_certificate(self, charger_id: str, actor: str) -> bool:
        """Start the renewal of one charger's certificate. Raises Conflict while other work has it."""
        try:
            await self._client.start_workflow(
                CertificateRenewalWorkflow.run,
                RenewalInput(charger_id, actor),
                id=charger_workflow_id(charger_id),
                task_queue=TASK_QUEUE,
                static_summary=f"renew the certificate of {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
            )
        except WorkflowAlreadyStartedError:
            raise Conflict(
                f"Other work has {charger_id} just now.", hint="Try again when it is over."
            ) from None
        return True

    @in_our_words
    async def start_renewal(self, renewal_id: str) -> None:
        """Start a renewal that is on record; one that was started already goes on, or is over."""
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                RenewalWorkflow.run,
                RenewalRun(renewal_id),
                id=renewal_workflow_id(renewal_id),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"renewal {renewal_id}",
            )

    async def steer_renewal(self, renewal_id: str, act: str, request: PersonRequest, update_id: str) -> None:
        """Pause, resume or abort a renewal. Raises Conflict where that is not possible."""
        await self._ask(renewal_workflow_id(renewal_id), act, request, update_id)

    async def revoke_certificates(self, order: RevokeOrder) -> tuple[str, ...]:
        """Have the signer take certificates away, and wait for it.

        Raises EngineUnavailable when no signer answered in time; it is done once one is there.
        """
        handle = await self._start_revocation(order)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await asked(handle.result())
        except WorkflowFailureError as error:
            raise Conflict(sentence(error)) from None
        except TimeoutError as error:
            raise EngineUnavailable(
                "No signer answered in time.", hint="It is done as soon as a signer is there."
            ) from error

    async def issue_certificate(self, given: HandedIn) -> IssueAnswer:
        """Have the signer issue what a person handed in, and wait for it; the same one again says the same.

        Raises EngineUnavailable when no signer answered in time.
        """
        handle = await self._start_issuance(given)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await asked(handle.result())
        except WorkflowFailureError as error:
            raise Conflict(sentence(error)) from None
        except TimeoutError as error:
            raise EngineUnavailable(
                "No signer answered in time.", hint="Hand in the same request again: it goes on."
            ) from error

    @in_our_words
    async def _start_issuance(
        self, given: HandedIn
    ) -> WorkflowHandle[CertificateIssuanceWorkflow, IssueAnswer]:
        return await self._client.start_workflow(
            CertificateIssuanceWorkflow.run,
            given,
            id=f"issuance/{given.charger_id}/{sha256_hex(given.csr.encode())[:16]}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"issue a certificate of {given.charger_id}",
        )

    @in_our_words
    async def _start_revocation(
        self, order: RevokeOrder
    ) -> WorkflowHandle[CertificateRevocationWorkflow, tuple[str, ...]]:
        return await self._client.start_workflow(
            CertificateRevocationWorkflow.run,
            order,
            id=f"revocation/{order.charger_id}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"revoke certificates of {order.charger_id}",
        )

    @in_our_words
    async def _ask(self, workflow_id: str, update: Any, request: Any, update_id: str | None = None) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        await handle.execute_update(update, request, id=update_id, rpc_timeout=self._timeout)
