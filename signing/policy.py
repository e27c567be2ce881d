"""What the people of the targets role sign beside the delegations: field ``x-ampwave`` of targets.

It lists the directive key and, per vendor role, the manufacturer's root certificates. TUF clients keep
and verify fields that they do not know, so no extra role or file is needed: whoever signs targets
decides which key may direct a rollout, and a rotated key is in force with the next refresh.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Targets

from signing.errors import VerificationFailed

FIELD = "x-ampwave"


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Keys by id that may sign directives, and manufacturer roots (PEM) by vendor role."""

    directive_keys: Mapping[str, Key]
    manufacturer_roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def roots_of(self, role: str) -> tuple[str, ...]:
        """The roots that firmware certificates of this role must chain to; empty: none is configured."""
        return self.manufacturer_roots.get(role, ())


def write_policy(policy: TrustPolicy) -> dict[str, Any]:
    """The value of the field."""
    return {
        "directive_keys": {keyid: key.to_dict() for keyid, key in policy.directive_keys.items()},
        "manufacturer_roots": {role: list(pems) for role, pems in policy.manufacturer_roots.items()},
    }


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
    return TrustPolicy(keys, roots)
