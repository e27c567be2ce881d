"""Writes the histories of certificate workflows to ``tests/replay``, when it is asked to.

Run this file with ``AMPWAVE_WRITE_HISTORIES=1``: they need sockets and TLS, which ``tests.replay.record``
does not have. Without that it only looks that they replay as they come.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.worker import Replayer

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn
from storage.clock import system_clock
from storage.ids import TASK_QUEUE, charger_workflow_id, renewal_workflow_id
from storage.renewal import Renewal, RenewalPhase, RenewalPlan
from tests.replay.record import _strip
from tests.support.csrs import csr
from tests.support.renewal_stage import stage
from tests.support.root_change import RootChange
from workflows.certificate_watch import CertificateWatchWorkflow
from workflows.payloads import DATA_CONVERTER
from workflows.registry import WORKFLOWS

pytestmark = pytest.mark.integration
FOLDER = Path(__file__).parents[2] / "replay"


async def test_histories_of_certificate_workflows_replay(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> None:
    engines = {"database": database, "s3": s3_settings, "temporal": embedded_temporal}
    async with stage(tmp_path, **engines, plain=True) as place:
        specs = await place.enrolled(2, sites=1, names=("jetty",))
        names = [spec.charger_id for spec in specs]
        async with place.fleet(specs):
            await place.introduced(specs)
            plan = RenewalPlan(
                "all", canary=1, growth=2, pause_seconds=0.2, request_seconds=20, proof_seconds=30
            )
            new = Renewal(f"r-{place.tag}", plan, RenewalPhase.RUNNING, "", "ada", system_clock(), 2, 0)
            await place.stores.renewals.create(new, names)
            await place.orchestrator.start_renewal(new.renewal_id)
            done = await place.renewal_over(new.renewal_id, seconds=60)
            assert done.phase is RenewalPhase.COMPLETED
            first = place.client.get_workflow_handle(charger_workflow_id(names[0]))
            renewed = (await first.describe()).run_id
            assert await RootChange(place, specs[:1]).install(plan) == {"renewed": 1}
            watch = f"watch-{place.tag}"
            await place.client.execute_workflow(CertificateWatchWorkflow.run, id=watch, task_queue=TASK_QUEUE)
        handed = HandedIn(names[1], csr(specs[1].serial), "ada")
        made = await place.orchestrator.issue_certificate(handed)
        assert made.serial is not None
        await place.orchestrator.revoke_certificates(
            RevokeOrder(names[1], (made.serial,), "superseded", "ada")
        )
        kept = {
            "root_change-install": charger_workflow_id(names[0]),
            "certificate_renewal-taken": charger_workflow_id(names[1]),
            "renewal-fleet": renewal_workflow_id(new.renewal_id),
            "certificate_watch_late-look": watch,
        }
        revocations = place.client.list_workflows("WorkflowType='CertificateRevocationWorkflow'")
        kept["certificate_revocation_at_once-one"] = (await anext(revocations)).id
        listed = [
            each.id
            async for each in place.client.list_workflows("WorkflowType='CertificateIssuanceWorkflow'")
        ]
        kept["certificate_issuance-one"] = next(each for each in listed if names[1] in each)
        kept["certificate_renewal-proven"] = charger_workflow_id(names[0])
        replayer = Replayer(workflows=list(WORKFLOWS), data_converter=DATA_CONVERTER)
        for name, workflow_id in kept.items():
            run_id = renewed if name == "certificate_renewal-proven" else None
            handle = place.client.get_workflow_handle(workflow_id, run_id=run_id)
            history = await handle.fetch_history()
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            assert result.replay_failure is None, name
            if os.environ.get("AMPWAVE_WRITE_HISTORIES"):
                stored = json.loads(history.to_json())
                _strip(stored)
                document = {"workflow_id": workflow_id, "history": stored}
                text = json.dumps(document, separators=(",", ":"), sort_keys=True)
                (FOLDER / f"{name}.json").write_text(text + "\n")
