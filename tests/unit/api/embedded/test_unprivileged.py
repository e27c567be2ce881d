"""Handing work to an unprivileged user without opening anybody's folders."""

import os
import subprocess
from pathlib import Path

import pytest

from api.embedded import unprivileged
from api.embedded.errors import EngineFailed
from api.embedded.process import Account
from api.embedded.unprivileged import (
    create_owned,
    name_for_owner,
    reachable_folder,
    readable_programs,
    runs_as,
    temporary_folder,
    unprivileged_account,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand work to another user")


@pytest.fixture
def nobody() -> Account:
    account = unprivileged_account()
    assert account is not None
    return account


@pytest.fixture
def private_site(tmp_path: Path) -> Path:
    """Programs that only root can reach, as in a virtual environment below /root."""
    site = tmp_path / "private" / "site"
    (site / "pkg" / "bin").mkdir(parents=True)
    (site / "pkg" / "share").mkdir()
    site.parent.chmod(0o700)
    program = site / "pkg" / "bin" / "serve"
    program.write_text(f"#!/bin/sh\necho served {tmp_path.name}\n")
    program.chmod(0o700)
    (site / "pkg" / "share" / "words").write_text("words")
    (site / "pkg" / "share" / "words").chmod(0o600)
    return site


@pytest.mark.skipif(os.geteuid() == 0, reason="as root there is one")
def test_an_ordinary_user_needs_no_other_account(tmp_path: Path) -> None:
    assert unprivileged_account() is None
    assert readable_programs(tmp_path, ("pkg",), "pkg/bin/serve", None) == tmp_path
    assert reachable_folder(tmp_path, None) == tmp_path
    assert name_for_owner(tmp_path, None) == str(tmp_path)


@root_only
def test_unreadable_programs_are_copied_once_and_made_whole_again(
    private_site: Path,
    nobody: Account,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    public = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    public.chmod(0o755)
    monkeypatch.setattr(unprivileged, "temporary_folder", lambda _: public)
    program = "pkg/bin/serve"
    assert not runs_as(nobody, [str(private_site / program)])
    copy = readable_programs(private_site, ("pkg", "pkg.libs"), program, nobody)
    assert runs_as(nobody, [str(copy / program)])
    assert runs_as(nobody, ["/bin/cat", str(copy / "pkg/share/words")])
    assert not os.access(copy, os.W_OK) or copy.stat().st_uid == 0
    assert readable_programs(private_site, ("pkg",), program, nobody) == copy
    (copy / "pkg/share/words").unlink()
    assert readable_programs(private_site, ("pkg",), program, nobody) == copy
    assert (copy / "pkg/share/words").exists()
    assert private_site.parent.stat().st_mode & 0o777 == 0o700


@root_only
def test_a_copy_that_others_could_change_is_not_used(
    private_site: Path, nobody: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    public.chmod(0o755)
    monkeypatch.setattr(unprivileged, "temporary_folder", lambda _: public)
    first = readable_programs(private_site, ("pkg",), "pkg/bin/serve", nobody)
    os.chown(first, nobody.uid, nobody.gid)
    second = readable_programs(private_site, ("pkg",), "pkg/bin/serve", nobody)
    assert second != first
    assert second.stat().st_uid == 0


@root_only
def test_without_proc_data_move_to_a_private_folder_that_is_remembered(
    tmp_path: Path, nobody: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unprivileged, "OWN_FOLDER", tmp_path / "no-proc")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    other = reachable_folder(home, nobody)
    assert other != home
    assert "keeps its data in" in caplog.text
    create_owned(other / "data", nobody)
    assert runs_as(nobody, ["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", str(other / "data")])
    assert reachable_folder(home, nobody) == other
    assert name_for_owner(other / "data", nobody) == str(other / "data")
    (other / "data").rmdir()
    other.rmdir()


@root_only
def test_a_private_tmpdir_is_not_used(
    tmp_path: Path, nobody: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert temporary_folder(nobody) != tmp_path
    monkeypatch.setattr(unprivileged, "runs_as", lambda *_: False)
    with pytest.raises(EngineFailed, match="no folder for temporary files is open to that user"):
        temporary_folder(nobody)
