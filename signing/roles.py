"""Who signs what, with how many keys, for how long: the layout of our TUF roles as values.

Source: background research on signing, section 5, and the TUF specification 1.0.34. Sizes are the
publisher's budgets (S11); stock clients cut off at 512 kB, 5 MB, 2 MB and 16 kB.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.errors import InvalidName
from storage.ids import check_slug

ROOT = "root"
TARGETS = "targets"
SNAPSHOT = "snapshot"
TIMESTAMP = "timestamp"
DIRECTIVE = "directive"

VENDOR_SIGNERS = ("release", "security", "qa")
"""The three people of a vendor role, two of whom must agree."""


@dataclass(frozen=True, slots=True)
class RoleRule:
    """What every version of a role must satisfy. ``max_bytes`` of the published file."""

    threshold: int
    keys: int
    lifetime: timedelta
    max_bytes: int
    online: bool = False

    def is_due(self, expires: datetime, now: datetime) -> bool:
        """Whether people should sign it anew: a sixth of its life is left (root: 60 days)."""
        return expires - now < self.lifetime / 6


RULES = {
    ROOT: RoleRule(threshold=2, keys=3, lifetime=timedelta(days=365), max_bytes=512_000),
    TARGETS: RoleRule(threshold=2, keys=3, lifetime=timedelta(days=180), max_bytes=2_000_000),
    SNAPSHOT: RoleRule(1, 1, timedelta(days=7), max_bytes=1_000_000, online=True),
    TIMESTAMP: RoleRule(1, 1, timedelta(days=1), max_bytes=16_384, online=True),
}
VENDOR_RULE = RoleRule(threshold=2, keys=3, lifetime=timedelta(days=90), max_bytes=2_000_000)

RESERVED = frozenset({ROOT, TARGETS, SNAPSHOT, TIMESTAMP, DIRECTIVE, "ampwave"})
"""Names a vendor role must not have: TUF's own and ours."""

MAX_DIRECTIVE_WINDOW = timedelta(hours=24)
MAX_DIRECTIVE_CHARGERS = 500

# A version is one path segment that a charger can report back (OCPP: at most 50 characters).
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+~:=@,()\-]{0,48}[A-Za-z0-9)])?")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-]{0,99}")


def rule_for(role: str) -> RoleRule:
    """The rule of a role; every name that is not TUF's own is a vendor role."""
    return RULES.get(role, VENDOR_RULE)


def check_vendor_role(name: str) -> str:
    """Return the name unchanged, or raise InvalidName: a slug that is not one of TUF's own roles."""
    if name in RESERVED:
        raise InvalidName("vendor role", name, f"a name other than {', '.join(sorted(RESERVED))}")
    return check_slug("vendor role", name)


def vendor_paths(role: str) -> list[str]:
    """The only paths a vendor role may list: ``role/<version>/<filename>`` (S7)."""
    return [f"{role}/*/*"]


def path_problems(role: str, version: str, path: str) -> list[str]:
    """What is wrong with a target path, in words; empty when it is bound to its role and version."""
    problems = []
    if not _VERSION.fullmatch(version):
        problems.append(f"version {version!r} must be 1 to 50 of letters, digits, blanks and ._+~:=@,()-")
    head, _, filename = path.rpartition("/")
    if head != f"{role}/{version}":
        problems.append(f"path {path!r} is not {role}/{version}/<filename>")
    if not _FILENAME.fullmatch(filename):
        problems.append(f"file name {filename!r} must be 1 to 100 of letters, digits and ._+-")
    return problems


def metadata_file(role: str, version: int) -> str:
    """The name of a role's file under consistent snapshots; the timestamp alone has no version."""
    return "timestamp.json" if role == TIMESTAMP else f"{version}.{role}.json"
