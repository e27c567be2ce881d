"""Where the versions of a role may lie in a bucket that nobody lists: found by asking for one after another.

Versions follow each other from 1, unless the bucket was restored from a backup: then only what was newest
is there. So there are two places to look, one that counting finds and one that somebody names. Who names it
may lie: neither a file far ahead nor a number without a file may cost more than a look.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

There = Callable[[int], Awaitable[bool]]
"""Whether a version of the role is in the bucket."""


async def last_counted(there: There) -> int:
    """The last of the versions that follow each other from 1, found by doubling and halving; 0: none."""
    found, beyond = 0, 1
    while await there(beyond):
        found, beyond = beyond, beyond * 2
    while beyond - found > 1:
        middle = (found + beyond) // 2
        if await there(middle):
            found = middle
        else:
            beyond = middle
    return found


async def newest_first(there: There, hint: int) -> AsyncIterator[int]:
    """Every version that follows others without a hole, from the hint or from 1; each once."""
    seen: set[int] = set()
    for start in (hint, await last_counted(there)):
        version = start
        if version < 1 or not await there(version):
            continue
        while await there(version + 1):
            version += 1
        while version not in seen and await there(version):
            seen.add(version)
            yield version
            version -= 1
    if 1 in seen or not await there(1):
        return
    # Halving assumes no hole; a file put beyond one leads it past the end of what really follows from 1.
    last = 1
    while await there(last + 1):
        last += 1
    for version in range(last, 0, -1):
        if version not in seen:
            yield version
