"""Everything on one machine: the engines that no setting points elsewhere, prepared, and then every role.

Used by ``ampwave up``, the demo and the end-to-end tests, so all three run the same code.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic import SecretStr

from api import bootstrap
from api.development import ensure_admin_token, ensure_secrets, private_dir
from api.development_tls import ensure_development_ca, ensure_development_tls
from api.embedded.engine import Engine
from api.embedded.postgres import EmbeddedPostgres
from api.embedded.s3 import EmbeddedS3
from api.embedded.temporal import EmbeddedTemporal
from api.settings import Settings
from api.supervisor import engines_kept
from storage.clock import system_clock

ROLES = ("api", "csms", "worker", "signer", "relay")


class Engines:
    """The engines that were started for this run; None for those that a setting points elsewhere."""

    def __init__(self, settings: Settings, *, durable: bool = True) -> None:
        self.settings = settings
        self.postgres: EmbeddedPostgres | None = None
        self.s3: EmbeddedS3 | None = None
        self.temporal: EmbeddedTemporal | None = None
        self._durable = durable

    async def start(self, stack: AsyncExitStack) -> Settings:
        """Start what is missing; returns the settings with every address filled in."""
        found = self.settings
        private_dir(found.data_dir)
        if found.database_url is None:
            self.postgres = EmbeddedPostgres(found.data_dir, found.postgres_port, durable=self._durable)
        if found.s3_endpoint is None:
            self.s3 = EmbeddedS3(found.data_dir, found.s3_port, bucket=found.s3_bucket)
        if found.temporal_address is None:
            self.temporal = EmbeddedTemporal(
                found.data_dir,
                found.temporal_port,
                ui_port=found.temporal_ui_port,
                namespace=found.temporal_namespace,
                codec_endpoint=f"{found.base_url}/codec",
            )
        for engine in self.running():
            await stack.enter_async_context(engine)
        self.settings = found.model_copy(update=self._addresses())
        return self.settings

    def running(self) -> list[Engine]:
        """The engines of ours, in the order they start."""
        return [engine for engine in (self.postgres, self.s3, self.temporal) if engine is not None]

    def _addresses(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.postgres:
            found["database_url"] = SecretStr(self.postgres.url)
            if "unsafe_direct_registration" not in self.settings.model_fields_set:
                found["unsafe_direct_registration"] = True  # For development, unless somebody said no.
        if self.s3:
            found |= {
                "s3_endpoint": self.s3.endpoint,
                "s3_access_key": SecretStr(self.s3.access_key),
                "s3_secret_key": SecretStr(self.s3.secret_key),
            }
        if self.temporal:
            found |= {"temporal_address": self.temporal.address, "temporal_ui_url": self.temporal.ui_url}
        return found


@asynccontextmanager
async def prepared_engines(settings: Settings, *, durable: bool = True) -> AsyncIterator[Engines]:
    """Engines up and kept up, schema current, bucket there, development keys and a token made."""
    async with AsyncExitStack() as stack:
        engines = Engines(settings, durable=durable)
        secure = ensure_development_tls(await engines.start(stack), system_clock())
        ready = engines.settings = ensure_development_ca(secure, system_clock())
        ensure_secrets(ready)
        await bootstrap.upgrade_database(ready)
        async with bootstrap.open_stores(ready) as stores:
            await bootstrap.ensure_bucket(ready)
            await bootstrap.ensure_repository(ready, stores)
            await ensure_admin_token(ready, stores.tokens, system_clock())
        async with engines_kept(engines.running()):
            yield engines


SIGNER_ONLY = frozenset(
    {
        "pkcs11_pin",
        "signer_ca",
        "signer_ca_former",
        "signer_est_user",
        "signer_est_password",
        "signer_est_key_file",
    }
)
"""Settings that no other process may see."""


def role_environment(settings: Settings, base: Mapping[str, str], *, signer: bool = False) -> dict[str, str]:
    """The environment of one role's process: what the shell has, and every setting as it is now."""
    inherited = {name: value for name, value in base.items() if not name.startswith("AMPWAVE_")}
    return inherited | {
        f"AMPWAVE_{name.upper()}": _text(value)
        for name, value in settings.model_dump().items()
        if value is not None and (signer or name not in SIGNER_ONLY)
    }


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
