"""Who holds a key, in words that are signed with it: a field of the key in root and targets.

TUF clients keep and ignore it. It lets a person read names instead of hashes before signing, and lets us
see that two keys of one role belong to one person.
"""

from collections.abc import Iterable

from securesystemslib.signer import Key

from storage.errors import InvalidName
from storage.ids import check_slug

HOLDER_FIELD = "x-ampwave-holder"


def named(key: Key, holder: str) -> Key:
    """The key with its holder's name. Raises InvalidName unless the name is a slug, as in ``ada``."""
    check_slug("key holder", holder)
    return Key.from_dict(key.keyid, {**key.to_dict(), HOLDER_FIELD: holder})


def holder_of(key: Key) -> str:
    """The holder's name, or nothing where none was signed."""
    name = key.unrecognized_fields.get(HOLDER_FIELD, "")
    try:
        return check_slug("key holder", name) if name else ""
    except InvalidName:
        return ""


def holder_problems(role: str, keys: Iterable[Key]) -> list[str]:
    """One person with two keys of a role would be two people to a threshold (S2)."""
    names = [name for name in map(holder_of, keys) if name]
    return [f"{role} counts {name} twice (S2)" for name in sorted(set(names)) if names.count(name) > 1]


def spoken(key: Key) -> str:
    """As people read it: name, the start of its id, its scheme."""
    return f"{holder_of(key) or 'unnamed'} (key {key.keyid[:12]}, {key.scheme})"
