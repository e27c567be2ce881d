"""A whole repository with made-up people, for drills: the real code, keys that are thrown away afterwards.

Never over the live repository: whoever makes one hands in a store of its own and an empty folder.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key, Signer

from signing.bundle import Bundle, merge, read_bundle, unsigned, write_bundle
from signing.holders import named
from signing.holding import review, sign
from signing.keys import ensure_key_file, file_address, open_signer, public_of_file
from signing.layout import Holders, Layout, VendorLayout, Wishes, first_metadata, next_metadata
from signing.metadata import encode_people
from signing.present import present_in
from signing.published import collect_published, collect_signed
from signing.roles import ROOT
from signing.trust_source import Fetch

TOOLS = "ampwave rehearsal"
ROOT_PEOPLE = ("ada", "grace", "joan")
TARGETS_PEOPLE = ("mary", "hedy", "rosa")
VENDOR_PEOPLE = ("release", "security", "qa")


@dataclass
class People:
    """Each holder's key is one file; the signer's lie in ``online``, under the names it looks for."""

    folder: Path
    root: bytes = b""
    """What they and every reader embed; nothing before the first ceremony."""
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        """The layout of the first ceremony."""
        self.layout = Layout(
            root=self.holders(*ROOT_PEOPLE),
            targets=self.holders(*TARGETS_PEOPLE),
            snapshot=self.online("snapshot"),
            timestamp=self.online("timestamp"),
            directive=self.online("directive"),
            vendors={"acme": self.vendor("acme")},
        )

    @property
    def online_folder(self) -> Path:
        """Where the signer's keys lie."""
        return self.folder / "online"

    def path(self, name: str) -> Path:
        """A person's key file."""
        return self.folder / name / "key.pem"

    def key(self, name: str) -> Key:
        """A person's public key, made when it is first asked for."""
        return named(ensure_key_file(self.path(name)), name)

    def signer(self, name: str) -> Signer:
        """A person's own key, or a thief's copy of it."""
        return opened(self.path(name))

    def online_signer(self, name: str) -> Signer:
        """A key of the signer, or a thief's copy of it."""
        return opened(self.online_folder / f"{name}.pem")

    def holders(self, *names: str, threshold: int = 2) -> Holders:
        """These people, of whom two have to agree."""
        return Holders(threshold, tuple(self.key(name) for name in names))

    def online(self, name: str) -> Holders:
        """One key of the signer."""
        return Holders(1, (named(ensure_key_file(self.online_folder / f"{name}.pem"), name),))

    def vendor(self, role: str, *roots: str) -> VendorLayout:
        """A vendor role with three people of its own."""
        return VendorLayout(self.holders(*(f"{role}-{person}" for person in VENDOR_PEOPLE)), roots)

    def change(self, **parts: Any) -> None:
        """The layout that is wanted from now on."""
        self.layout = replace(self.layout, **parts)

    def first(self, now: datetime) -> Bundle:
        """The first ceremony, unsigned."""
        return _travelled(unsigned(first_metadata(self.layout, now)))

    async def next(self, fetch: Fetch, now: datetime, *, trust_online: bool = True, **wishes: Any) -> Bundle:
        """The next ceremony, unsigned; without the word of the online keys if they are stolen."""
        evidence = await (collect_published(fetch) if trust_online else collect_signed(fetch, self.root))
        present = present_in(evidence, self.root)
        return _travelled(unsigned(next_metadata(self.layout, present, Wishes(**wishes), now), evidence))

    def sign(self, bundle: Bundle, names: Iterable[str], now: datetime) -> Bundle:
        """Each on a copy of their own; then gathered, the last one first."""
        return merge([self.sign_alone(bundle, name, now) for name in reversed([*names])])

    def sign_alone(self, bundle: Bundle, name: str, now: datetime) -> Bundle:
        """One person's copy."""
        reviewed = review(bundle, self.root or None, now)
        return _travelled(sign(reviewed, file_address(self.path(name)), now=now, tools=TOOLS)[0])

    def found(self, now: datetime) -> Bundle:
        """The first ceremony, held; everybody embeds its root."""
        self.root = b""
        bundle = self.sign(
            self.first(now), (*ROOT_PEOPLE[::2], *TARGETS_PEOPLE[1:], *self._vendor_signers()), now
        )
        self.root = encode_people(bundle.parts[ROOT])
        return bundle

    def _vendor_signers(self) -> list[str]:
        return [f"{role}-{person}" for role in self.layout.vendors for person in VENDOR_PEOPLE[::2]]


def opened(path: Path) -> Signer:
    """The key in a file, whatever it is meant for."""
    return open_signer(file_address(path), [public_of_file(path)])


def _travelled(bundle: Bundle) -> Bundle:
    """As it comes out at the other end of a USB stick."""
    return read_bundle(write_bundle(bundle))
