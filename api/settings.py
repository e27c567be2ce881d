"""All settings, read once from the environment (prefix ``AMPWAVE_``) and ``.env``.

Defaults are those of ``ampwave up`` on one machine. Production points the three engine addresses
at its own services; nothing embedded is started for an address that is set.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Every setting of every role. Secrets come from files (``..._FILE``) or the environment."""

    model_config = SettingsConfigDict(env_prefix="AMPWAVE_", env_file=".env", extra="ignore")

    data_dir: Path = Path(".ampwave")
    """Where embedded engines, development keys and caches live; created 0700."""

    bind_host: str = "127.0.0.1"
    api_port: Port = 8080
    csms_port: Port = 9000
    csms_tls_port: Port = 9443
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    s3_port: Port = 8333
    postgres_port: Port = 54329

    # Engines: unset means embedded (``up`` and ``demo`` only).
    temporal_address: str | None = None
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool = False
    temporal_ui_url: str | None = None
    database_url: SecretStr | None = None
    """postgresql://user:password@host:port/database"""
    s3_endpoint: str | None = None
    s3_bucket: str = "ampwave"
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_checksum_mode: str = "when_required"
    """boto3's request_checksum_calculation; ``when_supported`` for AWS (S47)."""

    # Addresses that others see.
    public_url: str | None = None
    """Where people and chargers reach the api, without a trailing slash; default: its own bind address."""
    node_id: str = "node-1"

    # Keys and secrets.
    payload_key_file: Path | None = None
    """32 random bytes, base64: encrypts everything that enters Temporal's histories."""
    charger_pepper_file: Path | None = None
    """32 random bytes, base64: the HMAC key over chargers' passwords."""
    key_dir: Path | None = None
    """Signer only: where online key addresses (``file2:``) point; default: data_dir/keys."""
    trusted_root_file: Path | None = None
    """The TUF root that every verifier starts from (S19); default: data_dir/keys/root.json."""

    development_vendor_roles: str = "voltworks"
    """``up`` only: comma-separated TUF vendor roles for which the first start makes development keys."""

    # Chargers' sockets.
    csms_message_timeout_s: float = 30.0
    csms_heartbeat_interval_s: int = 60
    csms_max_frame_bytes: int = 512 * 1024
    csms_lease_s: float = 30.0
    ingest_interval_ms: float = 3.0
    unsafe_security_profile_0: bool = False
    """Let chargers connect without a password. For a bench, never for a fleet."""

    # People.
    api_token_file: Path | None = None
    """CLI only: the bearer token to use; default: data_dir/token, which ``up`` writes."""
    log_level: str = "INFO"
    log_json: bool = False

    @cached_property
    def base_url(self) -> str:
        """The api as people, CLI and chargers reach it."""
        return (self.public_url or f"http://{self.bind_host}:{self.api_port}").rstrip("/")

    @cached_property
    def payload_key_path(self) -> Path:
        """Where the key over Temporal's histories lies."""
        return self.payload_key_file or self.data_dir / "secrets" / "payload.key"

    @cached_property
    def charger_pepper_path(self) -> Path:
        """Where the HMAC key over chargers' passwords lies."""
        return self.charger_pepper_file or self.data_dir / "secrets" / "charger-pepper.key"

    @cached_property
    def token_path(self) -> Path:
        """Where the CLI looks for its bearer token."""
        return self.api_token_file or self.data_dir / "token"

    @cached_property
    def trusted_root_path(self) -> Path:
        """The TUF root that every verifier starts from."""
        return self.trusted_root_file or self.keys / "root.json"

    @cached_property
    def keys(self) -> Path:
        """The folder of online keys and development secrets."""
        return self.key_dir or self.data_dir / "keys"
