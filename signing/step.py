"""One step of a vendor role: what the next version changes against the one before. Pure.

The signer uses it to stage and to decide what it may publish; a person's command line uses it to show,
and refuse, what is about to be signed (S15, S64).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tuf.api.metadata import TargetFile, Targets

from signing.lint import vendor_problems
from signing.release import Release, from_target, release_problems, releases, to_target
from signing.roles import rule_for

_EXPIRY_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Step:
    """The difference between two versions of a vendor role."""

    role: str
    version: int
    expires: datetime
    added: tuple[Release, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    problems: tuple[str, ...]
    """Why this is not a plain next release: one image added, nothing else touched."""


def next_version(role: str, current: Targets, release: Release, now: datetime) -> Targets:
    """The next version of a role's metadata with a release added, unsigned."""
    targets: dict[str, TargetFile] = {**current.targets, release.path: to_target(release)}
    return Targets(current.version + 1, expires=now + rule_for(role).lifetime, targets=targets)


def addition_problems(role: str, current: Targets, release: Release) -> list[str]:
    """Why a release cannot follow what its role lists already; empty when it can."""
    problems = release_problems(release)
    listed = releases(role, current)
    if release.path in listed:
        problems.append(f"{release.path} is released already")
    elif any(release.version == other.version for other in listed.values()):
        problems.append(f"version {release.version} is released already under another file name")
    if any(release.sha256 == other.sha256 for other in listed.values()):
        problems.append("these very bytes are released already")
    highest = max((other.release_counter for other in listed.values()), default=0)
    if release.release_counter <= highest:
        problems.append(f"release counter {release.release_counter} must be above {highest} (S25)")
    return problems


def compare(role: str, current: Targets, following: Targets, now: datetime) -> Step:
    """What changes from one version to the next, with everything that a person should refuse."""
    before, after = current.targets, following.targets
    added = tuple(path for path in after if path not in before)
    removed = tuple(path for path in before if path not in after)
    changed = tuple(path for path in after if path in before and after[path] != before[path])
    problems = vendor_problems(role, following)
    problems += [f"it removes {path}" for path in removed]
    problems += [f"it changes {path}, which was released before" for path in changed]
    problems += _frame_problems(role, current, following, now)
    if len(added) != 1:
        problems.append(f"it adds {len(added)} images instead of one")
    readable = () if problems else tuple(from_target(role, after[path]) for path in added)
    for release in readable:
        problems += addition_problems(role, current, release)
    return Step(role, following.version, following.expires, readable, removed, changed, tuple(problems))


def _frame_problems(role: str, current: Targets, following: Targets, now: datetime) -> list[str]:
    problems = []
    if following.version != current.version + 1:
        problems.append(f"it is version {following.version}, after {current.version} comes only the next")
    if following.expires <= now:
        problems.append("it has expired")
    if following.expires > now + rule_for(role).lifetime + _EXPIRY_SLACK:
        problems.append(f"it expires only at {following.expires:%Y-%m-%d}, later than allowed (S64)")
    if following.spec_version.split(".")[0] != current.spec_version.split(".")[0]:
        problems.append(f"it is of TUF specification {following.spec_version}")
    return problems
