"""Who approves the demo's campaigns does so with a key of their own, listed in signed metadata (S24)."""

import asyncio
from dataclasses import replace

from api import bootstrap
from api.demo.people import APPROVERS, approver_key
from api.settings import Settings
from signing.ceremony import DevelopmentCeremony
from signing.keys import ensure_key_file
from signing.policy import Approver, TrustPolicy
from storage.clock import system_clock


async def enlist_approvers(settings: Settings) -> None:
    """Make their keys and have the people of the targets role sign that these may approve; idempotent."""
    keys = await asyncio.to_thread(
        lambda: {name: ensure_key_file(approver_key(settings.keys, name)) for name in APPROVERS}
    )
    listed = {key.keyid: Approver(name, key) for name, key in keys.items()}

    def change(policy: TrustPolicy) -> TrustPolicy:
        return replace(policy, approvers={**policy.approvers, **listed})

    async with bootstrap.open_blobs(settings) as blobs:
        await DevelopmentCeremony(blobs, settings.keys, system_clock, change=change).ensure([])
