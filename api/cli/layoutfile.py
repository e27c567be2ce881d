"""The layout of a repository as people write it: who holds which key of which role.

Every role is a mapping of holders' names to public key files of ``ampwave key create``, named relative to
the layout; ``threshold`` beside them says how many must agree, 2 where people sign. See
deploy/examples/layout.yaml.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli import documents
from api.cli.documents import Entry, Problems
from storage.errors import AmpwaveError

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from signing.layout import Approvers, Holders, Layout, VendorLayout

HINT = "deploy/examples/layout.yaml shows every field."
_PEOPLE = ("root", "targets")
_ONLINE = ("snapshot", "timestamp", "directive")
_THRESHOLD = "threshold"
_MOST = 20


def read_layout(path: Path) -> "Layout":
    """Read and check a layout; WrongUse lists every problem with its line and field."""
    from signing.layout import Layout

    problems = Problems(str(path))
    root = documents.load(path)
    entries = documents.mapping(root, problems)
    known = (*_PEOPLE, *_ONLINE, "vendors", "approvers", "policy")
    for name, entry in entries.items():
        if name not in known:
            problems.add(entry, f"is no role. {documents.nearest(name, dict.fromkeys(known))}")
    for name in (*_PEOPLE, *_ONLINE):
        if name not in entries:
            problems.add(root, f"{name} is missing.")
    folder = path.parent
    roles = {
        name: _holders(entries[name], folder, problems, 2 if name in _PEOPLE else 1)
        for name in (*_PEOPLE, *_ONLINE)
        if name in entries
    }
    vendors = _vendors(entries["vendors"], folder, problems) if "vendors" in entries else {}
    approvers = _approvers(entries["approvers"], folder, problems) if "approvers" in entries else None
    policy = _policy(entries["policy"], problems) if "policy" in entries else None
    problems.check(hint=HINT)
    return Layout(**roles, vendors=vendors, approvers=approvers, policy=policy)


def _vendors(entry: Entry, folder: Path, problems: Problems) -> "dict[str, VendorLayout]":
    from signing.layout import VendorLayout

    vendors = {}
    for role, content in documents.mapping(entry, problems).items():
        fields = documents.mapping(content, problems)
        for name, extra in fields.items():
            if name not in {"holders", "manufacturer_roots"}:
                problems.add(extra, "is not holders or manufacturer_roots.")
        if "holders" not in fields:
            problems.add(content, "holders is missing.")
            continue
        holders = _holders(fields["holders"], folder, problems, 2)
        given = fields.get("manufacturer_roots")
        files = documents.sequence(given, problems) if given else ()
        vendors[role] = VendorLayout(holders, tuple(_certificate(one, folder, problems) for one in files))
    return vendors


def _holders(entry: Entry, folder: Path, problems: Problems, threshold: int) -> "Holders":
    from signing.layout import Holders

    keys = []
    for name, content in documents.mapping(entry, problems).items():
        if name == _THRESHOLD:
            threshold = _threshold(content, problems)
        else:
            keys += _key(name, content, folder, problems)
    return Holders(threshold, tuple(keys))


def _approvers(entry: Entry, folder: Path, problems: Problems) -> "Approvers":
    """By the names that they have at the api, which need not be fit for anything else."""
    from signing.layout import Approvers
    from signing.policy import Approver

    threshold, people = 1, []
    for name, content in documents.mapping(entry, problems).items():
        if name == _THRESHOLD:
            threshold = _threshold(content, problems)
        else:
            people += [Approver(name, key) for key in _public(content, folder, problems)]
    return Approvers(threshold, tuple(people))


def _threshold(entry: Entry, problems: Problems) -> int:
    if entry.kind == "scalar" and entry.text.isdecimal() and 0 < int(entry.text) <= _MOST:
        return int(entry.text)
    problems.add(entry, "should be a number of people.")
    return 1


def _key(holder: str, entry: Entry, folder: Path, problems: Problems) -> "list[Key]":
    from signing.holders import named

    try:
        return [named(key, holder) for key in _public(entry, folder, problems)]
    except AmpwaveError as error:
        problems.add(entry, error.message)
        return []


def _public(entry: Entry, folder: Path, problems: Problems) -> "list[Key]":
    from signing.keys import read_public

    if entry.kind != "scalar":
        problems.add(entry, "should be a public key file of `ampwave key create`.")
        return []
    try:
        return [read_public(folder / entry.text)]
    except AmpwaveError as error:
        problems.add(entry, error.message)
        return []


def _certificate(entry: Entry, folder: Path, problems: Problems) -> str:
    from signing.vendor_signature import load_certificate

    try:
        pem = (folder / entry.text).read_text(encoding="ascii")
        load_certificate(pem)
    except (OSError, UnicodeDecodeError):
        problems.add(entry, f"{entry.text} cannot be read as PEM.")
        return ""
    except AmpwaveError as error:
        problems.add(entry, f"{entry.text}: {error.message}")
        return ""
    return pem


def _policy(entry: Entry, problems: Problems) -> dict[str, Any]:
    value = documents.plain(entry)
    if not isinstance(value, dict):
        problems.add(entry, "should be a mapping of names to values.")
        return {}
    from signing.policy import APPROVAL_FIELDS

    elsewhere = {"directive_keys": "directive", "manufacturer_roots": "vendors"}
    elsewhere |= dict.fromkeys(APPROVAL_FIELDS, "approvers")
    for name in value.keys() & elsewhere.keys():
        problems.add(entry, f"cannot say {name}: {elsewhere[name]} in the layout does.")
    return {str(name): content for name, content in value.items()}
