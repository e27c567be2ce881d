"""PostgreSQL refuses to run as root. As root we hand it to ``nobody``, and open no folder of others for it.

What that user must reach are its data and its programs. Its data it reaches through the working
directory, which it inherits: no permission on the folders above is needed. Its programs are
copied once into the system's folder for temporary files when the virtual environment lies
somewhere private, as under ``/root``.
"""

import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from api.embedded.errors import EngineFailed
from api.embedded.process import Account

log = logging.getLogger(__name__)

OWN_FOLDER = Path("/proc/self/cwd")
"""On Linux: the working directory, whatever the permissions of the folders above it."""


def unprivileged_account() -> Account | None:
    """Who PostgreSQL runs as: None is ourselves; as root it is ``nobody``."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def runs_as(account: Account | None, argv: list[str]) -> bool:
    """Whether this command succeeds for that user, from a folder that everybody may enter."""
    try:
        done = run_as(account, argv, cwd=Path("/"), env={"PATH": os.defpath})
    except OSError:
        return False
    return done.returncode == 0


def run_as(
    account: Account | None, argv: list[str], *, cwd: Path, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command of this package to its end as that user, and only with its rights."""
    switch: dict[str, Any] = (
        {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    )
    return subprocess.run(  # noqa: S603  # our own programs
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **switch,
    )


def temporary_folder(account: Account) -> Path:
    """A folder for temporary files that this user can enter too; TMPDIR may be private."""
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108  # only as places to create private folders
        if runs_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", candidate]):
            return Path(candidate)
    raise EngineFailed(
        "PostgreSQL", f"cannot run as {account.name}: no folder for temporary files is open to that user"
    )


def readable_programs(site: Path, parts: Iterable[str], program: str, account: Account | None) -> Path:
    """The folder to run ``program`` from: ``site``, or a copy of its ``parts`` that the user can read."""
    if account is None or runs_as(account, [str(site / program), "--version"]):
        return site
    found = (site / program).stat()
    copy = temporary_folder(account) / f"ampwave-postgresql-{int(found.st_mtime)}-{found.st_size}"
    parts = [part for part in parts if (site / part).exists()]
    if not (_ours(copy) and _complete(site, copy, parts)):
        copy = _copy(site, copy, parts)
        log.info("copied PostgreSQL's programs to %s: %s cannot read %s", copy, account.name, site)
    return copy


def _ours(folder: Path) -> bool:
    """Nobody else could have put or changed anything in it."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _complete(site: Path, copy: Path, parts: list[str]) -> bool:
    """Cleaners of temporary folders remove single old files."""
    sources = [path for part in parts for path in (site / part).rglob("*") if path.is_file()]
    return all((copy / path.relative_to(site)).is_file() for path in sources)


def _copy(site: Path, copy: Path, parts: list[str]) -> Path:
    fresh = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
    for part in parts:
        shutil.copytree(site / part, fresh / part)
    for path in [fresh, *fresh.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    if _ours(copy):
        shutil.rmtree(copy)
    try:
        return fresh.rename(copy)
    except OSError:  # somebody else has the name: another of us in the same moment, or a stranger
        return fresh


def reachable_folder(folder: Path, account: Account | None) -> Path:
    """``folder``, or the one that takes its place because the user cannot reach it.

    Needed only as root without ``/proc`` (macOS): then a private folder among the temporary files
    serves, and a small file in ``folder`` remembers which.
    """
    if account is None or OWN_FOLDER.is_dir():
        return folder
    if runs_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]):
        return folder
    reminder = folder / "data-is-in"
    if reminder.exists() and _ours(Path(reminder.read_text())):
        return Path(reminder.read_text())
    other = Path(tempfile.mkdtemp(prefix="ampwave-data-", dir=temporary_folder(account)))
    other.chmod(0o711)
    reminder.write_text(str(other))
    log.warning("PostgreSQL keeps its data in %s: %s cannot enter %s", other, account.name, folder)
    return other


def name_for_owner(folder: Path, account: Account | None) -> str:
    """What a process that starts in ``folder`` as that user has to call it."""
    return str(OWN_FOLDER if account and OWN_FOLDER.is_dir() else folder)


def create_owned(folder: Path, account: Account | None) -> None:
    """An empty folder that only that user may enter."""
    folder.mkdir(mode=0o700)
    if account:
        os.chown(folder, account.uid, account.gid)
