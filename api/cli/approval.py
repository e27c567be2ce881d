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
from signing.release import Release
from signing.trust import Trust
from signing.trust_source import load_role, load_trust
from storage.plan_digest import plan_digest

LIFE = timedelta(days=30)
"""How long a signed approval holds: a campaign that takes longer is approved anew."""
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class SigningApproval:
    """What is about to be signed, and with what."""

    statement: Statement
    chargers: int
    image: Release
    """As people signed it, not as the server calls it."""
    back: Release | None
    signer: Signer

    def sign(self) -> str:
        """The envelope to hand in."""
        return sign_statement(self.statement, self.signer)


def prepare(
    api: Api, campaign: Record, trusted_root: bytes, now: datetime, key: tuple[str, str | None]
) -> SigningApproval:
    """Read who may approve from signed metadata, and the digest from the plan and its chargers.

    Raises CliError when the server's digest is not that of the plan it shows, or an image is not released;
    WrongUse when the signed metadata lists no approvers; VerificationFailed; KeyUnavailable.
    """
    trust = asyncio.run(_trust(api, trusted_root, now))
    approvers = trust.policy.approvers
    if not approvers:
        raise WrongUse(
            "The signed metadata lists no approvers, so a signature means nothing here.",
            hint="Approve without --key, or have approvers listed: ampwave tuf policy --approver NAME:FILE",
        )
    signer = open_signer(key[0], [one.key for one in approvers.values()], key[1])
    approver = approvers[signer.public_key.keyid]
    digest, count = _digest(api, campaign)
    plan = campaign["plan"]
    back = plan["rollback_artifact_id"]
    images = _released(trust, plan["artifact_id"]), None if back is None else _released(trust, back)
    statement = Statement(
        campaign_id=campaign["campaign_id"],
        plan_digest=digest,
        artifact_id=plan["artifact_id"],
        rollback_artifact_id=back,
        actor=approver.name,
        at=now,
        not_after=now + LIFE,
    )
    return SigningApproval(statement, count, *images, signer)


def _released(trust: Trust, sha256: str) -> Release:
    """The release with this image in signed metadata. Raises CliError."""
    for role in trust.roles():
        for release in trust.releases(role):
            if release.sha256 == sha256:
                return release
    raise CliError(
        f"Not signed: nobody released the image {sha256[:12]} of this campaign.",
        hint="It is not in the signed metadata. Tell your security people if the server says otherwise.",
    )


async def _trust(api: Api, trusted_root: bytes, now: datetime) -> Trust:
    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    trust = await load_trust(fetch, trusted_root, now)
    for role in trust.roles():
        await load_role(fetch, trust, role)
    return trust


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
