"""The firmware passport of a charger: what it was given to run, by whose leave, and what proved it.

Put together here from nouns, without any judgement of its own, and signed elsewhere. It is bounded: the
newest of each kind are in it, and it says where older ones were left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.artifact import Artifact, SignOff, StagedRelease
from storage.campaign import Campaign, Decision, Directive, Outcome, Target
from storage.canonical import canonical_json, sha256_hex
from storage.certificate import Certificate
from storage.codec import to_json
from storage.ownership import Move
from storage.ports import ChargerView
from storage.retirement import Retirement

MOST_UPDATES = 500
MOST_CERTIFICATES = 500
MOST_MOVES = 200
MOST_VERSIONS = 500
MOST_BYTES = 1_900_000
"""Of what is signed; ``signing.testimony`` takes a little more."""
_VERDICTS = 5
_WORDS = 300
_ATTESTED = (Outcome.UPDATED, Outcome.ALREADY_CURRENT)


@dataclass(frozen=True, slots=True)
class PassportOrder:
    """What is asked for."""

    passport_id: str
    charger_id: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class VersionSaid:
    """A charger told its version: at a boot, or when it was read after one."""

    sequence: int
    kind: str
    version: str
    observed_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Given:
    """One update as it was ordered: the plan, the image with its signatures, the directive, the verdicts."""

    target: Target
    campaign: Campaign
    artifact: Artifact | None
    """None: no record of it is kept; its SHA-256 is its name all the same."""
    release: StagedRelease | None = None
    """The metadata that people signed; None: none is kept."""
    signed: tuple[SignOff, ...] = ()
    directive: Directive | None = None
    directive_sha256: str = ""
    decisions: tuple[Decision, ...] = ()
    """Of its wave."""


@dataclass(frozen=True, slots=True)
class PassportFacts:
    """What is kept of one charger, read at one time; of each list the newest first."""

    view: ChargerView
    updates: Sequence[Given]
    older_updates: bool
    """There are more than were read."""
    certificates: Sequence[Certificate]
    moves: Sequence[Move]
    said: Sequence[VersionSaid]
    retirement: Retirement | None = None


def passport_of(facts: PassportFacts, order: PassportOrder, at: datetime) -> dict[str, Any]:
    """What a passport says. Pure; the newest come first."""
    versions = runs_of(facts.said)
    said: dict[str, Any] = {
        "charger": _charger(facts.view),
        "made": {"at": to_json(at), "for": order.actor, "reason": order.reason},
        "firmware_now": _now(facts.view),
        "updates": [_update(each, facts.said) for each in facts.updates[:MOST_UPDATES]],
        "versions": [to_json(each) for each in versions[:MOST_VERSIONS]],
        "certificates": [_certificate(each) for each in facts.certificates[:MOST_CERTIFICATES]],
        "moves": [_move(each) for each in facts.moves[:MOST_MOVES]],
        "retirement": _retirement(facts.retirement),
        "older_left_out": {
            "updates": facts.older_updates or len(facts.updates) > MOST_UPDATES,
            "versions": len(versions) > MOST_VERSIONS,
            "certificates": len(facts.certificates) > MOST_CERTIFICATES,
            "moves": len(facts.moves) > MOST_MOVES,
        },
    }
    return _fitted(said)


def runs_of(said: Iterable[VersionSaid]) -> list[VersionSaid]:
    """The first word of each version, newest first, whoever brought it about."""
    runs: list[VersionSaid] = []
    for each in sorted(said, key=lambda one: one.sequence):
        if not runs or runs[-1].version != each.version:
            runs.append(each)
    return runs[::-1]


def proof_of(target: Target, said: Iterable[VersionSaid]) -> VersionSaid | None:
    """What proved that it runs its new version: its own word after it was told to install (R28).

    One that was current already proved it before. None: it proved nothing, or that word is not kept any more.
    """
    if target.outcome not in _ATTESTED or target.finished_at is None:
        return None
    since = target.dispatched_at if target.outcome is Outcome.UPDATED else None
    fitting = [
        each
        for each in said
        if each.version == target.to_version
        and each.received_at <= target.finished_at
        and (since is None or each.received_at >= since)
    ]
    return max(fitting, key=lambda each: each.sequence, default=None)


def _fitted(said: dict[str, Any]) -> dict[str, Any]:
    """Without as many of the oldest updates as it takes to fit."""
    while len(canonical_json(said)) > MOST_BYTES and said["updates"]:
        kept = said["updates"][: len(said["updates"]) // 2]
        said = {**said, "updates": kept, "older_left_out": {**said["older_left_out"], "updates": True}}
    return said


def _charger(view: ChargerView) -> dict[str, Any]:
    charger = view.charger
    return {
        "charger_id": charger.charger_id,
        "vendor": charger.vendor,
        "model": charger.model,
        "serial_number": charger.serial_number,
        "hardware_revision": charger.hardware_revision,
        "site_id": charger.site_id,
        "lifecycle": charger.lifecycle.value,
        "registered_at": to_json(charger.registered_at),
    }


def _now(view: ChargerView) -> dict[str, Any] | None:
    firmware = view.twin.firmware
    if firmware is None:
        return None
    return {
        "version": firmware.version,
        "previous_version": firmware.previous_version,
        "booted_at": to_json(firmware.booted_at),
    }


def _update(given: Given, said: Sequence[VersionSaid]) -> dict[str, Any]:
    target, campaign = given.target, given.campaign
    proof = proof_of(target, said)
    return {
        "campaign_id": target.campaign_id,
        "wave": target.wave,
        "attempts": target.attempt,
        "site_id": target.site_id,
        "from_version": target.from_version,
        "to_version": target.to_version,
        "outcome": target.outcome.value if target.outcome else None,
        "reason": _cut(target.reason),
        "dispatched_at": to_json(target.dispatched_at),
        "finished_at": to_json(target.finished_at),
        "image": _image(target.artifact_id, given.artifact),
        "metadata": _metadata(given),
        "plan": {
            "sha256": campaign.plan_digest,
            "made_by": campaign.created_by,
            "approved_by": [_approval(each) for each in campaign.approvals],
        },
        "directive": _directive(given),
        "verdicts": [_verdict(each) for each in given.decisions[-_VERDICTS:]],
        "proof": to_json(proof),
    }


def _image(sha256: str, artifact: Artifact | None) -> dict[str, Any]:
    if artifact is None:
        return {"sha256": sha256}
    return {
        "sha256": sha256,
        "length": artifact.length,
        "version": artifact.version,
        "target": artifact.target_path,
        "release_counter": artifact.release_counter,
        "vendor_signature": [each.scheme.value for each in artifact.vendor_signatures],
        "evidence": {each.kind.value: each.sha256 for each in artifact.evidence},
    }


def _metadata(given: Given) -> dict[str, Any] | None:
    release = given.release
    if release is None:
        return None
    return {
        "role": release.role,
        "version": release.version,
        "sha256": release.sha256,
        "threshold": release.threshold,
        "signed_by": [
            {"signer": each.signer, "keyid": each.keyid, "at": to_json(each.signed_at)}
            for each in given.signed
        ],
    }


def _approval(each: Any) -> dict[str, Any]:
    evidence = sha256_hex(each.evidence.encode()) if each.evidence else None
    return {"actor": each.actor, "at": to_json(each.at), "envelope_sha256": evidence}


def _directive(given: Given) -> dict[str, Any] | None:
    order = given.directive
    if order is None or given.target.charger_id not in order.charger_ids:
        return None
    return {
        "directive_id": order.directive_id,
        "sha256": given.directive_sha256,
        "image_sha256": order.sha256,
        "release_counter": order.release_counter,
        "downgrade": order.downgrade,
        "not_before": to_json(order.not_before),
        "not_after": to_json(order.not_after),
        "approved_by": [each.actor for each in order.approvals],
    }


def _verdict(each: Decision) -> dict[str, Any]:
    return {
        "look": each.look,
        "kind": each.kind,
        "verdict": each.verdict.value,
        "at": to_json(each.decided_at),
        "reason": _cut(each.reason),
        "inputs_sha256": each.inputs_sha256,
        "result_sha256": each.result_sha256,
    }


def _certificate(each: Certificate) -> dict[str, Any]:
    return {
        "serial": each.serial,
        "issuer": each.issuer,
        "key_sha256": each.key_sha256,
        "not_before": to_json(each.not_before),
        "not_after": to_json(each.not_after),
        "issued_at": to_json(each.issued_at),
        "issued_by": each.issued_by,
        "phase": each.phase.value,
        "proven_at": to_json(each.proven_at),
        "revoked_at": to_json(each.revoked_at),
        "revoked_because": each.reason,
    }


def _move(each: Move) -> dict[str, Any]:
    return {
        "actor": each.actor,
        "reason": _cut(each.reason),
        "state": each.state.value,
        "before": _values(each.before),
        "after": _values(each.values),
        "requested_at": to_json(each.requested_at),
        "finished_at": to_json(each.finished_at),
    }


def _values(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: None if value is None else _cut(value) for name, value in values.items()}


def _retirement(found: Retirement | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "state": found.state.value,
        "by": found.actor,
        "reason": _cut(found.reason),
        "requested_at": to_json(found.requested_at),
        "retired_at": to_json(found.finished_at),
        "memory": found.wiped.value,
        "receipt_sha256": found.receipt_sha256,
    }


def _cut(text: str) -> str:
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"
