"""One owner per folder, and what a former owner left there."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from api.embedded.claim import Claim
from api.embedded.errors import EngineAlreadyRunning
from api.embedded.identity import ProcessIdentity, own_identity


async def sleeper() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec("sleep", "600")


def test_the_second_claim_names_the_first_owner(tmp_path: Path) -> None:
    first, second = Claim("S3", tmp_path), Claim("S3", tmp_path)
    first.take()
    first.write(own_identity(), own_identity())
    with pytest.raises(EngineAlreadyRunning, match=f"started by process {os.getpid()}") as refusal:
        second.take()
    assert "AMPWAVE_DATA_DIR" in refusal.value.hint
    first.release()
    second.take()
    second.release()


async def test_a_leftover_is_removed_after_some_patience(tmp_path: Path) -> None:
    engine = await sleeper()
    claim = Claim("S3", tmp_path)
    claim.write(ProcessIdentity.of(engine.pid), ProcessIdentity.of(engine.pid))
    assert await claim.remove_leftovers(patience_s=0.05)
    assert await engine.wait() == -9
    assert not await claim.remove_leftovers(patience_s=0.05)


async def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path) -> None:
    stranger = await sleeper()
    record = {"owner": [1, "1"], "guard": [stranger.pid, "before"], "engine": [stranger.pid, "before"]}
    (tmp_path / "processes.json").write_text(json.dumps(record))
    assert not await Claim("S3", tmp_path).remove_leftovers(patience_s=0.05)
    assert ProcessIdentity.of(stranger.pid).alive
    stranger.kill()
    await stranger.wait()


@pytest.mark.parametrize("text", ["", "{", '{"owner": 3}', "[]"])
async def test_a_broken_record_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)
    assert not await Claim("S3", tmp_path).remove_leftovers(patience_s=0.05)
    assert not (tmp_path / "processes.json").exists()


def test_a_zombie_does_not_live() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not ProcessIdentity.of(child).alive
    os.waitpid(child, 0)
