"""What people ask of certificate workflows; part of ``client.Orchestrator``."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn, IssueAnswer
from storage.canonical import canonical_json, sha256_hex
from storage.errors import Conflict
from storage.ids import TASK_QUEUE, renewal_workflow_id
from workflows.certificate_desk import CertificateIssuanceWorkflow, CertificateRevocationWorkflow
from workflows.certificate_renewal import CertificateRenewalWorkflow, RenewalInput
from workflows.client_start import start_recorded, take_charger
from workflows.client_words import in_our_words, outcome
from workflows.renewal import RenewalRun, RenewalWorkflow
from workflows.signals import PersonRequest


class CertificateDesk:
    """Starts renewals and has the signer issue and revoke."""

    _client: Client
    _timeout: timedelta

    @in_our_words
    async def renew_certificate(self, charger_id: str, actor: str) -> None:
        """Start the renewal of one charger's certificate. Raises Conflict while other work has it."""
        given = RenewalInput(charger_id, actor)
        summary = "renew the certificate of"
        if await take_charger(self._client, CertificateRenewalWorkflow.run, given, charger_id, summary):
            return
        raise Conflict(f"Other work has {charger_id} just now.", hint="Try again when it is over.")

    @in_our_words
    async def start_renewal(self, renewal_id: str) -> None:
        """Start a renewal that is on record; one that was started already goes on, or is over."""
        await start_recorded(
            self._client,
            RenewalWorkflow.run,
            RenewalRun(renewal_id),
            workflow_id=renewal_workflow_id(renewal_id),
            summary=f"renewal {renewal_id}",
        )

    async def steer_renewal(self, renewal_id: str, act: str, request: PersonRequest, update_id: str) -> None:
        """Pause, resume or abort a renewal. Raises Conflict where that is not possible."""
        await self._ask(renewal_workflow_id(renewal_id), act, request, update_id)

    async def revoke_certificates(self, order: RevokeOrder) -> tuple[str, ...]:
        """Have certificates taken away, and wait until it is on record.

        Raises EngineUnavailable when no worker answered in time; it is done once one is there.
        """
        handle = await self._start_revocation(order)
        return await outcome(
            handle,
            self._timeout,
            silence="No worker answered in time.",
            hint="It is done as soon as a worker is there.",
        )

    async def issue_certificate(self, given: HandedIn) -> IssueAnswer:
        """Have the signer issue what a person handed in, and wait for it; the same one again says the same.

        Raises EngineUnavailable when no signer answered in time.
        """
        handle = await self._start_issuance(given)
        return await outcome(
            handle,
            self._timeout,
            silence="No signer answered in time.",
            hint="Hand in the same request again: it goes on.",
        )

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
            # Another order for the same charger is another one, and must not be taken for this one.
            id=f"revocation/{order.charger_id}/{_digest(order)}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"revoke certificates of {order.charger_id}",
        )

    @in_our_words
    async def _ask(self, workflow_id: str, update: Any, request: Any, update_id: str | None = None) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        await handle.execute_update(update, request, id=update_id, rpc_timeout=self._timeout)


def _digest(order: RevokeOrder) -> str:
    what = {"serials": sorted(order.serials), "reason": order.reason}
    return sha256_hex(canonical_json(what))[:16]
