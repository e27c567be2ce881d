"""Simulated images: a header line, one line of JSON, padding. The JSON scripts how the image fails.

Who is struck is decided by a hash of script seed and charger, so a run can be repeated and a demo can
say beforehand how many an image will harm.
"""

import hashlib
import random
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum

import orjson

from csms.simulator.errors import ImageInvalid

MAGIC = b"AMPWAVE-SIM-FIRMWARE\n"
HEAD_BYTES = 4096
"""Header and JSON line fit in here; a charger keeps no more of the image in memory."""


@dataclass(frozen=True, slots=True)
class Script:
    """How an image fails. Shares of chargers, 0 to 1; the first four exclude each other."""

    seed: int = 0
    boot_loop_share: float = 0.0
    install_failure_share: float = 0.0
    silent_share: float = 0.0
    lie_share: float = 0.0
    """Says Installed, and the old version runs."""
    faulted_share: float = 0.0
    """Of connectors, on chargers that run the image."""
    boot_loops: int = 3
    """Starts on the new image before the boot loader gives up and runs the previous one."""
    loop_announces_boot: bool = True
    """Whether a start of the loop gets as far as BootNotification."""
    error_code: str = "GroundFailure"
    """What a faulted connector reports (a 1.6 ChargePointErrorCode)."""


class Fate(StrEnum):
    """What an image does to one charger."""

    HEALTHY = "healthy"
    BOOT_LOOP = "boot_loop"
    INSTALL_FAILURE = "install_failure"
    SILENT = "silent"
    LIE = "lie"


@dataclass(frozen=True, slots=True)
class Image:
    """What a charger knows of an image once it read the head."""

    version: str
    script: Script = field(default_factory=Script)


def build_image(version: str, *, size: int, seed: int, script: Script | None = None) -> bytes:
    """The bytes of an image, the same for the same arguments. ``size``: whole length in bytes."""
    body = orjson.dumps({"version": version, "script": asdict(script or Script(seed=seed))})
    head = MAGIC + body + b"\n"
    if len(head) > HEAD_BYTES or size < len(head):
        raise ImageInvalid(f"An image of {size} bytes has no room for its {len(head)} bytes of head.")
    return head + random.Random(seed).randbytes(size - len(head))  # noqa: S311 padding, no secret


def read_image(head: bytes) -> Image:
    """Read the first ``HEAD_BYTES`` of an image, or raise ImageInvalid."""
    if not head.startswith(MAGIC):
        raise ImageInvalid("The image does not begin with this hardware's header.")
    line, newline, _ = head[len(MAGIC) :].partition(b"\n")
    if not newline:
        raise ImageInvalid("The image's description does not end.")
    try:
        described = orjson.loads(line)
        return Image(str(described["version"]), _read_script(described["script"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ImageInvalid(f"The image's description cannot be read: {error}") from error


def _read_script(described: dict[str, object]) -> Script:
    known = {item.name for item in fields(Script)}
    unknown = set(described) - known
    if unknown:
        raise TypeError(f"unknown script entries {sorted(unknown)}")
    return Script(**described)  # type: ignore[arg-type] # the names are checked, the types are JSON's


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def fate(script: Script, charger_id: str) -> Fate:
    """What the image does to this charger."""
    drawn = chance(script.seed, charger_id)
    for share, outcome in (
        (script.boot_loop_share, Fate.BOOT_LOOP),
        (script.install_failure_share, Fate.INSTALL_FAILURE),
        (script.silent_share, Fate.SILENT),
        (script.lie_share, Fate.LIE),
    ):
        if drawn < share:
            return outcome
        drawn -= share
    return Fate.HEALTHY


def faulted(script: Script, charger_id: str, evse_id: int) -> bool:
    """Whether this connector is broken while the image runs."""
    return chance(script.seed, charger_id, "evse", evse_id) < script.faulted_share
