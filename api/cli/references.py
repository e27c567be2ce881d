"""What people type for an artifact or a campaign, turned into its id."""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from api.cli.errors import CliError, Record

if TYPE_CHECKING:
    from api.cli.http import Api

ARTIFACT_HELP = "ROLE/VERSION, or the start of its id."
CAMPAIGN_HELP = "Its name, or the start of its id."
_SEARCHED = 5000
_SHORTEST = 6
_USUAL = 12
"""So much of an id is shown where that tells it from all others."""


def artifact_id(api: "Api", reference: str) -> str:
    """The id behind ``ROLE/VERSION``, the start of an id, or a whole id."""
    if re.fullmatch(r"[0-9a-f]{64}", reference):
        return reference

    def is_it(item: Record) -> bool:
        named = reference == f"{item['vendor_role']}/{item['version']}"
        return named or _starts(str(item["artifact_id"]), reference)

    found = _search(api, "/artifacts", is_it)
    # Rejected bytes leave their version to the right ones.
    found = [item for item in found if item["phase"] != "rejected"] or found
    return str(_only(found, "artifact", reference, "ampwave artifact list")["artifact_id"])


def campaign_id(api: "Api", reference: str) -> str:
    """The id behind a campaign's whole id, its name, or the start of its id: what fits exactly wins."""

    def is_it(item: Record) -> bool:
        return reference == item["name"] or _starts(str(item["campaign_id"]), reference)

    found = _search(api, "/campaigns", is_it)
    ids = [item for item in found if item["campaign_id"] == reference]
    found = ids or [item for item in found if item["name"] == reference] or found
    return str(_only(found, "campaign", reference, "ampwave campaign list")["campaign_id"])


def called(api: "Api", campaign: Record) -> str:
    """What can be typed for it in a shell: its name, or the start of its id where others have that name."""
    own = campaign["campaign_id"]
    others = [item for item in api.pages("/campaigns", _SEARCHED) if item["campaign_id"] != own]
    taken = {str(item[part]) for item in others for part in ("campaign_id", "name")}
    if campaign["name"] not in taken:
        return shlex.quote(str(campaign["name"]))
    return shlex.quote(_start(str(own), taken))


def starts(ids: Sequence[str]) -> list[str]:
    """Of each id as much as tells it from the others."""
    return [_start(own, (other for other in ids if other != own)) for own in ids]


def file_name(text: object) -> str:
    """A name that a server gave for a file of ours: one that stays in its folder, or a CliError."""
    name = str(text)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,199}", name, re.ASCII):
        raise CliError(f"The server calls a file {name[:60]!r}, which is no plain name; it is not written.")
    return name


def segment(text: str) -> str:
    """One path segment: identities may hold ``=``, ``+``, ``|`` and the like."""
    return quote(text, safe="")


def _start(own: str, others: Iterable[str]) -> str:
    alike = max((_common(own, other) for other in others), default=0)
    return own[: max(_USUAL, alike + 1)]


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _starts(whole: str, reference: str) -> bool:
    return whole == reference or (len(reference) >= _SHORTEST and whole.startswith(reference))


def _search(api: "Api", path: str, is_it: Callable[[Record], bool]) -> list[Record]:
    return [item for item in api.pages(path, _SEARCHED) if is_it(item)]


def _only(found: list[Record], kind: str, reference: str, listing: str) -> Record:
    if not found:
        raise CliError(f"There is no {kind} {reference!r}.", hint=f"`{listing}` shows what there is.")
    if len(found) > 1:
        ids = [str(item[f"{kind}_id"]) for item in found]
        raise CliError(f"{reference!r} fits {len(found)} {kind}s.", ids, hint="Use one of these ids.")
    return found[0]
