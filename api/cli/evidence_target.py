"""Saved evidence against what people signed: the release's target in TUF metadata, from a pinned root."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.cli.http import Api

FOLDER = "metadata"


def save_metadata(api: "Api", role: str, folder: Path) -> None:
    """The signed metadata that lists a release, as it is now."""
    from signing.sign_off import collect_evidence

    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    target = folder / FOLDER
    target.mkdir()
    for name, data in asyncio.run(collect_evidence(fetch, role)).items():
        (target / name).write_bytes(data)


def target_problems(folder: Path, trusted_root: bytes, image_sha256: str, found: dict[str, str]) -> list[str]:
    """Where saved pieces are not those that the signed target of this image names; ``found`` by kind.

    It is judged as of when it was saved: timestamps expire after a day, what people signed does not.
    """
    from signing.errors import SigningError

    try:
        at = _when_saved(folder / FOLDER)
        signed = asyncio.run(_signed(folder / FOLDER, trusted_root, image_sha256, at))
    except SigningError as error:
        return [f"the signed metadata does not hold: {error.message}"]
    if signed is None:
        return ["no signed target lists this image"]
    problems = []
    for kind in sorted({*signed, *found}):
        if kind not in found:
            problems.append(f"the signed target names a {kind} that is not here")
        elif kind not in signed:
            problems.append(f"the {kind} here is not part of what people signed")
        elif signed[kind] != found[kind]:
            problems.append(f"the {kind} here is another one than people signed")
    return problems


def _when_saved(folder: Path) -> datetime:
    """A moment at which nothing of it had expired."""
    from signing.errors import VerificationFailed

    try:
        files = [path for path in folder.glob("*.json") if not path.name.endswith("root.json")]
        ends = [datetime.fromisoformat(json.loads(path.read_bytes())["signed"]["expires"]) for path in files]
        return min(ends) - timedelta(seconds=1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationFailed(f"{folder} holds no TUF metadata.") from error


async def _signed(
    folder: Path, trusted_root: bytes, image_sha256: str, at: datetime
) -> dict[str, str] | None:
    from signing.release import releases
    from signing.trust_source import load_role, load_trust
    from storage.errors import InvalidInput, NotFound

    async def fetch(name: str, limit: int) -> bytes:
        file = folder / Path(name).name
        if not file.is_file():
            raise NotFound("metadata file", name)
        if file.stat().st_size > limit:
            raise InvalidInput(f"{name} is longer than {limit} bytes.")
        return file.read_bytes()

    trust = await load_trust(fetch, trusted_root, at)
    for role in trust.roles():
        try:
            await load_role(fetch, trust, role)
        except NotFound:
            continue
        for release in releases(role, trust.role(role)).values():
            if release.sha256 == image_sha256:
                return dict(release.evidence)
    return None
