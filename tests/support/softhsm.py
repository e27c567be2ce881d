"""A PKCS#11 token in software (Debian: softhsm2), for tests that need a real token's manners."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = [
    *map(Path, ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")),
    *Path("/usr/lib").glob("*/softhsm/libsofthsm2.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
]
MODULE = next((path for path in LIBRARIES if path.is_file()), None)
MISSING = "" if MODULE and shutil.which("softhsm2-util") else "SoftHSM2 is not installed (Debian: softhsm2)"
PIN = "8642"


@dataclass(frozen=True)
class SoftHsm:
    """Where the tokens lie. The library reads its configuration once per process."""

    module: Path
    configuration: Path

    @classmethod
    def create(cls, folder: Path) -> "SoftHsm":
        assert MODULE is not None
        (folder / "tokens").mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        lines = (
            f"directories.tokendir = {folder / 'tokens'}",
            "objectstore.backend = file",
            "log.level = ERROR",
        )
        configuration.write_text("\n".join(lines) + "\n")
        return cls(MODULE, configuration)

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def files(self) -> dict[Path, bytes]:
        """What lies on its tokens while nobody uses them."""
        return {path: path.read_bytes() for path in (self.configuration.parent / "tokens").rglob("*.object")}

    def put_back(self, files: dict[Path, bytes]) -> None:
        """After somebody who used it was killed.

        SoftHSM writes a token's file anew at each login and leaves a broken one when killed in between; a
        token in hardware does not.
        """
        for path, data in files.items():
            path.write_bytes(data)

    def add_token(self, label: str) -> None:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN]
        command += ["--so-pin", "12345678"]
        subprocess.run(command, env=os.environ | self.environment, check=True, capture_output=True)
