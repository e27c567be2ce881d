"""Signing an approval on a person's own machine, which computes the digest from the plan it is shown."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from securesystemslib.signer import Signer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.http import Api
from api.schemas.campaigns import PlanBody
from signing.approval import Statement, sign_statement
from signing.keys import open_signer
from signing.policy import Approver
from signing.trust_source import load_trust
from storage.plan_digest import plan_digest

LIFE = timedelta(days=30)
"""How long a signed approval holds: a campaign that takes longer is approved anew."""
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class SigningApproval:
    """What is about to be signed, and with what."""

    statement: Statement
    chargers: int
    signer: Signer

    def sign(self) -> str:
        """The envelope to hand in."""
        return sign_statement(self.statement, self.signer)


def prepare(
    api: Api, campaign: Record, trusted_root: bytes, now: datetime, key: tuple[str, str | None]
) -> SigningApproval:
    """Read who may approve from signed metadata, and the digest from the plan and its chargers.

    Raises CliError when the server's digest is not that of the plan it shows; WrongUse when the signed
    metadata lists no approvers; VerificationFailed; KeyUnavailable.
    """
    approvers = asyncio.run(_approvers(api, trusted_root, now))
    if not approvers:
        raise WrongUse(
            "The signed metadata lists no approvers, so a signature means nothing here.",
            hint="Approve without --key, or have approvers listed: ampwave tuf policy --approver NAME:FILE",
        )
    signer = open_signer(key[0], [one.key for one in approvers.values()], key[1])
    approver = approvers[signer.public_key.keyid]
    digest, count = _digest(api, campaign)
    plan = campaign["plan"]
    statement = Statement(
        campaign_id=campaign["campaign_id"],
        plan_digest=digest,
        artifact_id=plan["artifact_id"],
        rollback_artifact_id=plan["rollback_artifact_id"],
        actor=approver.name,
        at=now,
        not_after=now + LIFE,
    )
    return SigningApproval(statement, count, signer)


async def _approvers(api: Api, trusted_root: bytes, now: datetime) -> dict[str, Approver]:
    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    return dict((await load_trust(fetch, trusted_root, now)).policy.approvers)


def _digest(api: Api, campaign: Record) -> tuple[str, int]:
    """The digest of what the server shows: the plan, and every charger in its wave."""
    plan = PlanBody.model_validate(campaign["plan"]).to_noun()
    path = f"/campaigns/{campaign['campaign_id']}/targets"
    cohort = [
        [row["charger_id"] for row in api.pages(path, _ALL, wave=wave)] for wave in range(len(plan.waves))
    ]
    digest = plan_digest(plan, cohort)
    if digest != campaign["plan_digest"]:
        raise CliError(
            "Not signed: the server's digest is not that of the plan and the chargers it shows.",
            [f"it says    {campaign['plan_digest']}", f"it shows   {digest}"],
            hint="Tell your security people.",
        )
    return digest, sum(map(len, cohort))
