"""Making a deployment ready for a trial, against engines of one's own."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.embedded.temporal import EmbeddedTemporal
from api.prepare import prepare
from api.settings import Settings
from storage.errors import InvalidInput


async def test_a_trial_is_made_ready_without_embedded_engines(
    tmp_path: Path, empty_database: str, s3_settings: Any, embedded_temporal: EmbeddedTemporal
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        key_dir=tmp_path / "keys",
        trusted_root_file=tmp_path / "trusted.json",
        database_url=SecretStr(empty_database),
        temporal_address=embedded_temporal.address,
        s3_endpoint=s3_settings.endpoint,
        s3_bucket=s3_settings.bucket,
        s3_access_key=SecretStr(s3_settings.access_key),
        s3_secret_key=SecretStr(s3_settings.secret_key),
    )
    token = await prepare(settings)
    assert token
    assert (tmp_path / "trusted.json").read_bytes() == (tmp_path / "keys" / "root.json").read_bytes()
    assert not (tmp_path / "data" / "postgres").exists()
    assert await prepare(settings) == token


async def test_without_an_address_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="AMPWAVE_DATABASE_URL, AMPWAVE_TEMPORAL_ADDRESS"):
        await prepare(Settings(data_dir=tmp_path / "data"))
    assert not (tmp_path / "data").exists()


async def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "api.prepare"],
        cwd=tmp_path,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Not set: AMPWAVE_DATABASE_URL")
