"""What is asked of certificate workflows: no order is taken for another one."""

from datetime import timedelta
from typing import Any

import pytest

from activities.certificate_end import RevokeOrder
from workflows.certificate_client import CertificateDesk


class Handle:
    async def result(self) -> tuple[str, ...]:
        return ("AB",)


class Engine:
    """Takes down which workflow is asked for."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def start_workflow(self, *_: Any, **named: Any) -> Handle:
        self.ids.append(named["id"])
        return Handle()


@pytest.mark.requirement("S57")
async def test_another_revocation_of_the_same_charger_is_not_taken_for_the_one_that_runs() -> None:
    desk, engine = CertificateDesk(), Engine()
    desk._client, desk._timeout = engine, timedelta(seconds=1)  # type: ignore[assignment]
    first = RevokeOrder("CP-1", ("AB", "CD"), "superseded", "ada")
    same = RevokeOrder("CP-1", ("CD", "AB"), "superseded", "ben")
    others = [
        RevokeOrder("CP-1", ("AB",), "superseded", "ada"),
        RevokeOrder("CP-1", (), "superseded", "ada"),
        RevokeOrder("CP-1", ("AB", "CD"), "keyCompromise", "ada"),
    ]
    for order in (first, same, *others):
        await desk.revoke_certificates(order)
    assert engine.ids[0] == engine.ids[1], "told twice it is one"
    assert len(set(engine.ids)) == 4
