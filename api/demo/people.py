"""The people of the demo, each with a token of their own role: what they do goes through the api."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.cli.approval import prepare
from api.cli.http import Api
from api.cli.review import review_staged, sign_staged
from api.demo.errors import DemoFailed
from signing.keys import file_address
from storage.access import Role
from storage.clock import system_clock

Record = dict[str, Any]
APPROVERS = ("release-approver", "release-approver-2")
"""Their names at the api, and in the signed policy."""
_POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class People:
    """Connections of everybody who takes part."""

    admin: Api
    author: Api
    """A release manager: uploads, plans, creates."""
    approvers: tuple[Api, ...]
    """Other release managers: nobody approves their own plan, and a way back takes two of them."""
    signers: tuple[Api, Api]
    """Two of the three who hold a key of the vendor's role."""
    keys: Path | None = None
    """Where the approvers keep their own keys and their root.json; None: they say yes without signing."""

    def close(self) -> None:
        """Hang up."""
        for api in (self.admin, self.author, *self.approvers, *self.signers):
            api.__exit__(None, None, None)


def gather(url: str, admin_token: str, keys: Path | None = None) -> People:
    """Make a token for each and connect. ``keys`` has a key for each approver, if they are to sign."""
    admin = Api(url, admin_token)

    def join(name: str, role: Role) -> Api:
        token = admin.post("/tokens", {"name": name, "role": role.value})["token"]
        return Api(url, token)

    return People(
        admin=admin,
        author=join("release-author", Role.RELEASE_MANAGER),
        approvers=tuple(join(name, Role.RELEASE_MANAGER) for name in APPROVERS),
        signers=(join("vendor-release", Role.SECURITY), join("vendor-security", Role.SECURITY)),
        keys=keys,
    )


def until(
    look: Callable[[], Record],
    done: Callable[[Record], bool],
    *,
    what: str,
    within_s: float,
    watch: Callable[[Record], None] | None = None,
) -> Record:
    """Look again and again until it is done. Raises DemoFailed, saying what was waited for."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if watch:
            watch(found)
        if done(found):
            return found
        if time.monotonic() > deadline:
            raise DemoFailed(f"Waited {within_s:g} s for {what}.", found)
        time.sleep(_POLL_S)


def register_fleet(
    people: People, sites: Sequence[Record], models: Sequence[Record], chargers: Sequence[Record]
) -> None:
    """Tell Ampwave of every site, model and charger before the first one connects."""
    for site in sites:
        people.admin.post("/sites", site)
    for model in models:
        people.admin.put("/models", model)
    reply = people.admin.post("/chargers/import", list(chargers))
    if reply["refused"]:
        raise DemoFailed("Not every charger could be registered.", reply)


def release(
    people: People, image: Path, manifest: Record, key_addresses: Sequence[str], trusted_root: Path
) -> str:
    """Upload an image, have two people review and sign it with their own keys, wait for the release.

    Each reviews what the staged bytes really change, from metadata verified by their own root (S15).
    Returns the artifact's id.
    """
    artifact_id = str(people.author.upload("/artifacts", image, manifest)["artifact_id"])
    path = f"/artifacts/{artifact_id}"
    _until_phase(people, path, "awaiting_signatures")
    for signer, address in zip(people.signers, key_addresses, strict=True):
        reviewed = review_staged(signer, artifact_id, trusted_root.read_bytes(), system_clock())
        sign_staged(signer, artifact_id, reviewed, address)
    _until_phase(people, path, "released")
    return artifact_id


def _until_phase(people: People, path: str, phase: str) -> None:
    found = until(
        lambda: people.author.get(path),
        lambda artifact: artifact["phase"] in (phase, "released", "rejected"),
        what=f"the artifact to be {phase.replace('_', ' ')}",
        within_s=60,
    )
    if found["phase"] == "rejected":
        raise DemoFailed("The artifact was rejected.", found)


def approver_key(folder: Path, name: str) -> Path:
    """The file of an approver's own key."""
    return folder / f"approver-{name}.pem"


def approve(people: People, campaign: Record) -> None:
    """As many others as the plan needs say yes, each with their own key if they have one.

    Each computes the plan's digest from what the api shows them, and signs that.
    """
    needed = campaign["plan"]["required_approvals"]
    for name, approver in list(zip(APPROVERS, people.approvers, strict=True))[:needed]:
        body = {"plan_digest": campaign["plan_digest"]}
        if people.keys is not None:
            root, key = (
                (people.keys / "root.json").read_bytes(),
                file_address(approver_key(people.keys, name)),
            )
            body["evidence"] = prepare(approver, campaign, root, system_clock(), (key, None)).sign()
        approver.post(f"/campaigns/{campaign['campaign_id']}/approve", body)


def run_campaign(people: People, plan: Record, watch: Callable[[Record], None], within_s: float) -> Record:
    """Create a campaign, have others approve it, follow it to its end. Returns the last look at it."""
    campaign = people.author.post("/campaigns", plan)
    path = f"/campaigns/{campaign['campaign_id']}"
    approve(people, campaign)
    ended = {"completed", "aborted", "rolled_back", "failed"}

    def look() -> Record:
        return {**people.author.get(path), "decisions": people.author.get(f"{path}/decisions")["items"]}

    return until(
        look,
        lambda found: found["phase"] in ended,
        what=f"campaign {plan['name']} to end",
        within_s=within_s,
        watch=watch,
    )


def targets(people: People, campaign_id: str) -> list[Record]:
    """Every target of a campaign, forward and rollback waves."""
    return list(people.author.pages(f"/campaigns/{campaign_id}/targets", 1_000_000))
