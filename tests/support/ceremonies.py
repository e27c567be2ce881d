"""People with keys of their own, and ceremonies that they hold with files, as ``ampwave tuf`` does."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key

from signing.bundle import Bundle, merge, read_bundle, unsigned, write_bundle
from signing.holders import named
from signing.holding import review, sign
from signing.keys import ensure_key_file, file_address
from signing.layout import Holders, Layout, VendorLayout, Wishes, first_metadata, next_metadata
from signing.metadata import encode_people
from signing.present import present_in
from signing.published import collect_published
from signing.roles import ROOT
from signing.trust_source import Fetch

TOOLS = "ampwave 0 tuf 0"
ROOT_PEOPLE = ("ada", "grace", "joan")
TARGETS_PEOPLE = ("mary", "hedy", "rosa")
VENDOR_PEOPLE = ("release", "security", "qa")


@dataclass
class People:
    """Each holder's key is one file; the signer's lie in ``online``, under the names it looks for."""

    folder: Path
    root: bytes = b""
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
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
        return self.folder / "online"

    def path(self, name: str) -> Path:
        return self.folder / name / "key.pem"

    def key(self, name: str) -> Key:
        return named(ensure_key_file(self.path(name)), name)

    def address(self, name: str) -> str:
        return file_address(self.path(name))

    def holders(self, *names: str, threshold: int = 2) -> Holders:
        return Holders(threshold, tuple(self.key(name) for name in names))

    def online(self, name: str) -> Holders:
        return Holders(1, (named(ensure_key_file(self.online_folder / f"{name}.pem"), name),))

    def vendor(self, role: str, *roots: str) -> VendorLayout:
        return VendorLayout(self.holders(*(f"{role}-{person}" for person in VENDOR_PEOPLE)), roots)

    def change(self, **parts: Any) -> None:
        """The layout that is wanted from now on."""
        self.layout = replace(self.layout, **parts)

    def first(self, now: datetime) -> Bundle:
        return read_bundle(write_bundle(unsigned(first_metadata(self.layout, now))))

    async def next(self, fetch: Fetch, now: datetime, **wishes: Any) -> Bundle:
        evidence = await collect_published(fetch)
        present = present_in(evidence, self.root)
        return read_bundle(
            write_bundle(unsigned(next_metadata(self.layout, present, Wishes(**wishes), now), evidence))
        )

    def sign(self, bundle: Bundle, names: Iterable[str], now: datetime) -> Bundle:
        """Each on a copy of their own; then gathered, last one first."""
        copies = [self.sign_alone(bundle, name, now) for name in names]
        return merge([read_bundle(write_bundle(copy)) for copy in reversed(copies)])

    def sign_alone(self, bundle: Bundle, name: str, now: datetime) -> Bundle:
        reviewed = review(bundle, self.root or None, now)
        return sign(reviewed, self.address(name), now=now, tools=TOOLS)[0]

    def found(self, now: datetime) -> Bundle:
        """The first ceremony, held; everybody embeds its root."""
        bundle = self.sign(self.first(now), ("ada", "joan", "hedy", "rosa", "acme-release", "acme-qa"), now)
        self.root = encode_people(bundle.parts[ROOT])
        return bundle
