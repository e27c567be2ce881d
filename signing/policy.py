"""What the people of the targets role sign beside the delegations: field ``x-ampwave`` of targets.

It lists the directive key, manufacturers' roots, who may approve campaigns, and what decides about trust
in a model. TUF clients keep and verify fields that they do not know, so no extra role or file is needed:
whoever signs targets decides which key may direct a rollout, and a rotated key is in force with the next
refresh. Settings of the same name in the database only ever restrict further; they allow nothing (S17).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from signing.errors import VerificationFailed
from signing.keys import key_material

FIELD = "x-ampwave"
APPROVAL_FIELDS = ("approvers", "approval_threshold")


@dataclass(frozen=True, slots=True)
class Approver:
    """A person who may approve campaigns, by the name they have at the api, and their own key."""

    name: str
    key: Key


@dataclass(frozen=True, slots=True)
class ModelTrust:
    """What decides about trust in the chargers of one model."""

    minimum_counter: int = 0
    """No release below it is ever sent, not even back (S25)."""
    unsafe_unsigned_waiver: str | None = None
    """Who allowed plain UpdateFirmware for this model and why; None: never (S37)."""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Keys by id that may sign directives, and manufacturer roots (PEM) by vendor role."""

    directive_keys: Mapping[str, Key]
    manufacturer_roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approvers: Mapping[str, Approver] = field(default_factory=dict)
    """By key id. Empty: approvals are the api's word, and a database administrator can write them."""
    approval_threshold: int = 1
    """People who must have signed, whatever a plan says; a way back needs two anyhow (S25)."""
    models: Mapping[tuple[str, str], ModelTrust] = field(default_factory=dict)
    """By vendor and model."""

    def roots_of(self, role: str) -> tuple[str, ...]:
        """The roots that firmware certificates of this role must chain to; empty: none is configured."""
        return self.manufacturer_roots.get(role, ())

    def of_model(self, vendor: str, model: str) -> ModelTrust:
        """What was signed for a model; nothing special where it is not named."""
        return self.models.get((vendor, model), ModelTrust())


def write_policy(policy: TrustPolicy) -> dict[str, Any]:
    """The value of the field. What is not used is left out, so that older verifiers read it, too."""
    written: dict[str, Any] = {
        "directive_keys": {keyid: key.to_dict() for keyid, key in policy.directive_keys.items()},
        "manufacturer_roots": {role: list(pems) for role, pems in policy.manufacturer_roots.items()},
    }
    if policy.approvers:
        written["approvers"] = {
            keyid: {"name": one.name, "key": one.key.to_dict()} for keyid, one in policy.approvers.items()
        }
        written["approval_threshold"] = policy.approval_threshold
    if policy.models:
        written["models"] = [
            {
                "vendor": vendor,
                "model": model,
                "minimum_counter": trust.minimum_counter,
                "unsafe_unsigned_waiver": trust.unsafe_unsigned_waiver,
            }
            for (vendor, model), trust in sorted(policy.models.items())
        ]
    return written


def read_policy(targets: Targets) -> TrustPolicy:
    """The policy in verified targets metadata. Raises VerificationFailed when absent or malformed."""
    try:
        raw = targets.unrecognized_fields[FIELD]
        keys = {keyid: Key.from_dict(keyid, dict(fields)) for keyid, fields in raw["directive_keys"].items()}
        roots = {role: tuple(map(str, pems)) for role, pems in raw["manufacturer_roots"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationFailed(f"Targets metadata lists no directive key in {FIELD!r}.") from error
    if not keys:
        raise VerificationFailed("Targets metadata lists no directive key.")
    try:
        policy = TrustPolicy(
            keys,
            roots,
            {keyid: _approver(keyid, entry) for keyid, entry in raw.get("approvers", {}).items()},
            _typed(raw.get("approval_threshold", 1), int),
            dict(_model(entry) for entry in raw.get("models", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VerificationFailed(f"The policy in {FIELD!r} of targets is malformed: {error}.") from error
    problems = policy_problems(policy)
    if problems:
        raise VerificationFailed(f"The policy in targets breaks our rules: {'; '.join(problems)}.")
    return policy


def policy_problems(policy: TrustPolicy) -> list[str]:
    """What is wrong with who may approve: one key must not make two people, nor a server one of them."""
    problems = []
    people = {key_material(one.key): one.name for one in policy.approvers.values()}
    if len(people) < len(policy.approvers):
        problems.append("two approvers have the same key (S2)")
    if any(key_material(key) in people for key in policy.directive_keys.values()):
        problems.append("a directive key is an approver's (S5)")
    names = {one.name for one in policy.approvers.values()}
    if "" in names:
        problems.append("an approver has no name")
    if not all(name.isprintable() for name in names):
        problems.append("an approver's name holds what no screen shows")  # It is read before it is signed.
    if policy.approvers and not 1 <= policy.approval_threshold <= len(names):
        problems.append(f"{policy.approval_threshold} approvals of {len(names)} people cannot be given")
    if any(trust.unsafe_unsigned_waiver == "" for trust in policy.models.values()):
        problems.append("a waiver does not say who gave it and why (S37)")
    return problems


def _approver(keyid: str, entry: dict[str, Any]) -> Approver:
    return Approver(_typed(entry["name"], str), Key.from_dict(keyid, dict(entry["key"])))


def _model(entry: dict[str, Any]) -> tuple[tuple[str, str], ModelTrust]:
    waiver = entry["unsafe_unsigned_waiver"]
    trust = ModelTrust(_typed(entry["minimum_counter"], int), None if waiver is None else _typed(waiver, str))
    return (_typed(entry["vendor"], str), _typed(entry["model"], str)), trust


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value
