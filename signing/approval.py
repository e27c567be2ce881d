"""A person's yes to a campaign, signed with a key of their own: what a database cannot make up (S24, S25).

A DSSE envelope like the directive's, over a statement that names campaign, plan digest and both images.
It travels inside the directive, so that the node judges it again: neither the rows, nor the api, nor the
directive key can stand in for the people that the targets role listed (``signing.policy``). Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import Signer

from signing.dsse import parse_own, sign_payload
from signing.errors import ApprovalRefused
from signing.policy import Approver
from storage.campaign import Approval, Campaign, Directive
from storage.canonical import canonical_json

PAYLOAD_TYPE = "application/vnd.ampwave.approval+json"
MAX_EVIDENCE = 8 * 1024
"""A statement takes 400 bytes and a signature of RSA-4096 another 700; both in base64."""
MAX_LIFE = timedelta(days=90)
_CLOCK_SLACK = timedelta(hours=1)
"""How far the clock of a person's machine may be ahead."""
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person signs. Times in UTC."""

    campaign_id: str
    plan_digest: str
    """Of plan and cohort together; whoever signs computes it themselves."""
    artifact_id: str
    rollback_artifact_id: str | None
    """What updated chargers may go back to; None: nothing."""
    actor: str
    at: datetime
    not_after: datetime
    """Nothing is sent on the strength of it after this."""


def sign_statement(statement: Statement, signer: Signer) -> str:
    """The envelope, as text. Raises KeyUnavailable."""
    return sign_payload(canonical_json(statement), PAYLOAD_TYPE, signer).decode()


def open_statement(evidence: str, approvers: Mapping[str, Approver]) -> Statement:
    """The statement, signed by the listed key of the very person it names. Raises ApprovalRefused."""
    envelope = parse_own(evidence, "a signed approval", PAYLOAD_TYPE, ApprovalRefused, limit=MAX_EVIDENCE)
    mine = [(keyid, approvers[keyid]) for keyid in envelope.signatures if keyid in approvers]
    if not mine:
        raise ApprovalRefused("It is signed by no key that the signed metadata lists as an approver's.")
    statement = _statement(envelope.payload)
    for _, approver in mine:
        if approver.name != statement.actor:
            raise ApprovalRefused(f"It says {statement.actor}, and the key is {approver.name}'s.")
    try:
        envelope.verify([approver.key for _, approver in mine], len(mine))
    except Exception as error:  # the library raises several kinds
        raise ApprovalRefused(f"The signature of {statement.actor} does not hold.") from error
    return statement


def check_given(
    approval: Approval, campaign: Campaign, approvers: Mapping[str, Approver], now: datetime
) -> None:
    """Whether a yes that somebody hands in will count, so that they learn it at once. Raises ApprovalRefused.

    Where the signed policy lists nobody, every approval is unsigned and there is nothing to check.
    """
    if not approvers:
        return
    if not approval.evidence:
        raise ApprovalRefused(
            "This campaign has to be approved with your own key: an approval without a signature is worth "
            "nothing here (S24).",
            hint="On your own machine: ampwave campaign approve CAMPAIGN --key file2:you.pem",
        )
    plan = campaign.plan
    statement = open_statement(approval.evidence, approvers)
    wanted = {
        "campaign": (statement.campaign_id, campaign.campaign_id),
        "plan digest": (statement.plan_digest, campaign.plan_digest),
        "image": (statement.artifact_id, plan.artifact_id),
        "image to go back to": (statement.rollback_artifact_id, plan.rollback_artifact_id),
        "name": (statement.actor, approval.actor),
    }
    _refuse(statement, [what for what, (theirs, ours) in wanted.items() if theirs != ours], now)


@dataclass(frozen=True, slots=True)
class Behind:
    """Who signed for a directive, sorted and each once; and why other signed approvals do not count."""

    people: tuple[str, ...]
    problems: tuple[str, ...]


def people_behind(directive: Directive, approvers: Mapping[str, Approver], now: datetime) -> Behind:
    """Who signed that this campaign may send this image now. An approval without evidence is nobody's."""
    found, problems = set(), []
    for approval in directive.approvals:
        try:
            if approval.evidence:
                found.add(_person(approval, directive, approvers, now))
        except ApprovalRefused as error:
            problems.append(error.message)
    return Behind(tuple(sorted(found)), tuple(problems))


def _person(
    approval: Approval, directive: Directive, approvers: Mapping[str, Approver], now: datetime
) -> str:
    statement = open_statement(approval.evidence, approvers)
    image = statement.rollback_artifact_id if directive.downgrade else statement.artifact_id
    said = {
        "campaign": (statement.campaign_id, directive.campaign_id),
        "plan digest": (statement.plan_digest, directive.plan_digest),
        "image": (image, directive.sha256),
        "name": (statement.actor, approval.actor),
    }
    _refuse(statement, [what for what, (theirs, ours) in said.items() if theirs != ours], now)
    return statement.actor


def _refuse(statement: Statement, others: list[str], now: datetime) -> None:
    problems = [f"it is for another {what}" for what in others]
    if statement.not_after - statement.at > MAX_LIFE:
        problems.append(f"it would hold for more than {MAX_LIFE.days} days")
    if statement.at > now + _CLOCK_SLACK:
        # Or its 90 days would begin whenever the signer's clock, or the signer, likes.
        problems.append(f"it says that it was given only on {statement.at:%Y-%m-%d %H:%M}Z")
    if now > statement.not_after:
        problems.append(f"it expired at {statement.not_after:%Y-%m-%d %H:%M}Z")
    if problems:
        raise ApprovalRefused(
            f"The signed approval of {statement.actor} for campaign {statement.campaign_id} does not count: "
            f"{'; '.join(problems)}.",
            hint="Approve the campaign as it is now: ampwave campaign approve CAMPAIGN --key ADDRESS",
        )


def _statement(payload: bytes) -> Statement:
    try:
        raw = json.loads(payload)
        times = {name: datetime.fromisoformat(raw[name]).astimezone(UTC) for name in ("at", "not_after")}
        statement = Statement(**raw | times)
        same = canonical_json(statement) == payload
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ApprovalRefused("The envelope holds no approval.") from error
    if not same or not _well_typed(statement):
        raise ApprovalRefused("The approval is not in canonical form.")
    return statement


def _well_typed(statement: Statement) -> bool:
    words: list[Any] = [statement.campaign_id, statement.plan_digest, statement.artifact_id, statement.actor]
    if statement.rollback_artifact_id is not None:
        words.append(statement.rollback_artifact_id)
    # They end in sentences and in histories, before anybody knows who wrote them.
    return all(type(word) is str and len(word) <= _LONGEST and word.isprintable() for word in words)
