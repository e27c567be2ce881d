"""``python -m api.prepare``: makes a deployment ready for a trial, against the engines of the settings.

It does what the first ``ampwave up`` does on one machine: the schema, a signed repository with
DEVELOPMENT keys (all in one folder), and an administrator's token, which it prints once. Production
brings a root and keys from a ceremony of its own and never runs this. Repeating it changes nothing
but the token.
"""

import asyncio
import shutil
import sys

from api.settings import Settings
from storage.errors import AmpwaveError, InvalidInput


async def prepare(settings: Settings) -> str:
    """Do all of it; the administrator's token.

    Raises InvalidInput when an engine's address is missing: nothing embedded is started here.
    """
    from api.stack import prepared_engines

    addresses = ("database_url", "temporal_address", "s3_endpoint")
    missing = [f"AMPWAVE_{name.upper()}" for name in addresses if getattr(settings, name) is None]
    if missing:
        raise InvalidInput(f"Not set: {', '.join(missing)}.", hint="For one machine alone: ampwave up.")
    async with prepared_engines(settings):
        made = settings.keys / "root.json"
        if settings.trusted_root_path != made:
            shutil.copyfile(made, settings.trusted_root_path)
        return settings.token_path.read_text().strip()


def main() -> int:
    """0 when everything is ready."""
    try:
        token = asyncio.run(prepare(Settings()))
    except AmpwaveError as error:
        sys.stderr.write(f"{error.diagnostics()}\n")
        return 1
    sys.stdout.write(f"Ready, with keys for development only. The administrator's token:\n{token}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
