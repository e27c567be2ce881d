"""What a key is and whether it signs: asked of its holder, and of the signed metadata (S64)."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key
from tuf.api.metadata import Root

from api.key_access import key_addresses
from api.settings import Settings
from signing.addresses import holder_of
from signing.errors import KeyUnavailable, SigningError
from signing.keys import file_address, key_material, open_signer, public_of, read_public
from signing.metadata import decode
from signing.roles import DIRECTIVE
from signing.trust_source import Fetch, load_trust
from storage.errors import AmpwaveError

PERSON, SIGNER = "a person's command line", "ampwave signer"


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key as it was found."""

    name: str
    address: str
    holder: str
    process: str
    """Which process opens it."""
    keyid: str = ""
    kind: str = ""
    roles: tuple[str, ...] = ()
    problem: str = ""

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "name": self.name,
            "keyid": self.keyid,
            "kind": self.kind,
            "holder": self.holder,
            "process": self.process,
            "roles": list(self.roles),
            "address": self.address,
            "problem": self.problem,
        }


class KnownKeys:
    """Which keys count for which role, by the public key itself."""

    def __init__(self, roles: dict[bytes, list[str]], complete: bool) -> None:
        self._roles = roles
        self.complete = complete
        """Whether vendor roles and directive keys were looked at, too."""

    def roles_of(self, key: Key) -> tuple[str, ...]:
        """The roles that count it."""
        return tuple(self._roles.get(key_material(key), ()))


def known_keys(fetch: Fetch, root_file: Path, now: datetime) -> KnownKeys:
    """From the signed metadata if it can be had and holds, else from one's own root.json alone."""
    roles: dict[bytes, list[str]] = {}
    if not root_file.is_file():
        return KnownKeys(roles, complete=False)
    data = root_file.read_bytes()
    try:
        trust = asyncio.run(load_trust(fetch, data, now))
    except AmpwaveError:
        _add_root(roles, decode(Root, data, str(root_file)).signed)
        return KnownKeys(roles, complete=False)
    _add_root(roles, trust.root)
    for key in trust.policy.directive_keys.values():
        roles.setdefault(key_material(key), []).append(DIRECTIVE)
    for role in trust.roles():
        for keyid in trust.targets.get_delegated_role(role).keyids:
            roles.setdefault(key_material(trust.targets.get_key(keyid)), []).append(role)
    return KnownKeys(roles, complete=True)


def _add_root(roles: dict[bytes, list[str]], root: Root) -> None:
    for name, role in root.roles.items():
        for keyid in role.keyids:
            roles.setdefault(key_material(root.keys[keyid]), []).append(name)


def signer_keys(settings: Settings, known: KnownKeys) -> list[KeyState]:
    """The keys that the signer would open here: those that are set, and its files that are there."""
    given = {
        settings.signer_snapshot,
        settings.signer_timestamp,
        settings.signer_directive,
        settings.signer_record,
    }
    here = {
        role: address
        for role, address in key_addresses(settings).items()
        if address in given or Path(address.removeprefix("file2:")).exists()
    }
    return [look(role, address, known, SIGNER) for role, address in here.items()]


def key_files(folder: Path, known: KnownKeys, but: set[str]) -> list[KeyState]:
    """The key files of a folder, by their public halves."""
    found = []
    for path in sorted(folder.glob("*.pub.json")):
        name = path.name.removesuffix(".pub.json")
        address = file_address(path.with_name(f"{name}.pem"))
        if address not in but:
            key = read_public(path)
            found.append(
                KeyState(name, address, "a file", PERSON, key.keyid, key.scheme, known.roles_of(key))
            )
    return found


def look(name: str, address: str, known: KnownKeys, process: str) -> KeyState:
    """What the key at an address is, without using it."""
    try:
        holder = holder_of(address)
        key = public_of(address)
    except SigningError as error:
        return KeyState(name, address, address.partition(":")[0], process, problem=error.diagnostics())
    return KeyState(name, address, holder.words, process, key.keyid, key.scheme, known.roles_of(key))


def prove(address: str, public: Key) -> float:
    """Let the key sign a few random bytes that mean nothing; the seconds it took. Raises KeyUnavailable."""
    signer = open_signer(address, [public])
    # Neither JSON nor DSSE: nobody could use this signature for anything.
    nonsense = b"ampwave key check " + secrets.token_hex(16).encode()
    began = time.monotonic()
    try:
        signature = signer.sign(nonsense)
        public.verify_signature(signature, nonsense)
    except UnverifiedSignatureError as error:
        raise KeyUnavailable(
            f"{address} signs, but as another key than {public.keyid[:12]}.",
            hint="Give the public half that belongs to it.",
        ) from error
    except SigningError:
        raise
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable(
            f"The key at {address} cannot sign: {type(error).__name__}.",
            hint="Check that this user may use it.",
        ) from error
    return time.monotonic() - began
