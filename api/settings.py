"""All settings, read once from the environment (prefix ``AMPWAVE_``), secret files and ``.env``.

Defaults are those of ``ampwave up`` on one machine. Production points the three engine addresses
at its own services; nothing embedded is started for an address that is set.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from api.secret_files import SecretFiles
from storage.health_time import SECONDS

Port = Annotated[int, Field(ge=0, le=65535)]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _divides_an_hour(seconds: int) -> int:
    if SECONDS % seconds:
        raise ValueError(f"{seconds} does not divide an hour of {SECONDS} seconds: take 60, 300 or 900, say")
    return seconds


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Comma-separated in the environment."""
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]
"""Comma-separated in the environment."""


class Settings(BaseSettings):
    """Every setting of every role. Secrets come from files (``..._FILE``) or the environment."""

    model_config = SettingsConfigDict(env_prefix="AMPWAVE_", env_file=".env", extra="ignore")

    data_dir: Path = Path(".ampwave")
    """Where embedded engines, development keys and caches live; created 0700."""

    bind_host: str = "127.0.0.1"
    """The address the api and the csms listen on."""
    api_port: Port = 8080
    """HTTP: API, dashboard, firmware downloads."""
    csms_port: Port = 9000
    """Chargers' WebSockets, plain."""
    csms_tls_port: Port = 9443
    """Chargers' WebSockets over TLS."""
    temporal_port: Port = 7233
    """Of the embedded Temporal server; 0: a free one."""
    temporal_ui_port: Port = 8233
    """Of the embedded Temporal server's web page; 0: a free one."""
    s3_port: Port = 8333
    """Of the embedded S3 server; 0: a free one."""
    postgres_port: Port = 54329
    """Of the embedded PostgreSQL; 0: a free one."""

    # Engines: unset means embedded (``up`` and ``demo`` only).
    temporal_address: str | None = None
    """host:port of your Temporal service; unset: embedded."""
    temporal_namespace: str = "default"
    """Must exist; one per environment."""
    temporal_api_key: SecretStr | None = None
    """For Temporal services that ask for one. Also as ``_FILE``."""
    temporal_tls: bool = False
    """Speak TLS to Temporal."""
    temporal_ui_url: str | None = None
    """Where people find Temporal's web page, for links; unset: no links."""
    database_url: SecretStr | None = None
    """postgresql://user:password@host:port/database; unset: embedded. Also as ``_FILE``."""
    s3_endpoint: str | None = None
    """http(s)://host:port of your S3 service; unset: embedded."""
    s3_bucket: str = "ampwave"
    """Must exist, be private and this deployment's alone: logs in it without a record are removed."""
    s3_region: str = "us-east-1"
    """The region that requests are signed for."""
    s3_access_key: SecretStr | None = None
    """Also as ``_FILE``."""
    s3_secret_key: SecretStr | None = None
    """Also as ``_FILE``."""
    s3_checksum_mode: str = "when_required"
    """boto3's request_checksum_calculation; ``when_supported`` for AWS (S47)."""

    s3_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Seconds that the S3 server may be silent before a request counts as failed."""
    s3_lock_days: Annotated[int, Field(ge=0, le=36500)] = 0
    """Days for which nobody, not even we, can delete a stored image; needs Object Lock. 0: no lock."""
    unsafe_plain_http_s3: bool = False
    """Allow s3_endpoint on another machine without TLS: keys and images cross that network in the open."""

    rehash_bytes_per_day: Annotated[int, Field(ge=1)] = 50 * 1024**3
    """Bytes of stored images that are read back and hashed each day, longest unchecked first."""
    leftover_grace_hours: Annotated[float, Field(ge=25)] = 48.0
    """Hours after which the daily sweep removes what broken uploads left behind; uploads live 24."""

    upload_bytes: Annotated[int, Field(ge=1024)] = 2 * 1024**3
    """The largest firmware image that is taken in, bytes."""
    download_bytes_per_s: Annotated[float, Field(ge=0)] = 0.0
    """How fast firmware leaves an api process in all, bytes a second. 0: as fast as it can."""
    download_site_bytes_per_s: Annotated[float, Field(ge=0)] = 0.0
    """How fast it goes to the chargers of one site together; of each api process. 0: no limit."""
    download_seats: Annotated[int, Field(ge=1)] = 2000
    """Downloads at once in an api process; further chargers are told to come back."""
    download_stall_s: Annotated[float, Field(ge=1)] = 60.0
    """Seconds after which a charger that takes nothing of its download is cut off; it may resume."""
    download_same_address: bool = False
    """Let a charger fetch firmware only from the address of its own socket. Not behind a proxy or NAT."""
    unsafe_plain_http_url: str | None = None
    """http:// address of the api for models that cannot speak TLS; they alone are sent there."""
    unsafe_plain_http_for_all: bool = False
    """Allow public_url to be http:// on another machine: firmware and tokens cross it in the open."""

    webhook_networks: Words = ()
    """Comma-separated networks (10.2.0.0/16) of your own where webhooks may lie; others must be public."""
    unsafe_plain_http_webhooks: bool = False
    """Allow webhooks at http:// addresses: what happens here crosses the network in the open."""

    # Addresses that others see.
    public_url: str | None = None
    """Where people and chargers reach the api, without a trailing slash; default: its own bind address."""
    node_id: str = "node-1"
    """Name of this csms node: unique among nodes, the same after a restart."""

    # Keys and secrets.
    payload_key_file: Path | None = None
    """32 random bytes, base64: encrypts everything that enters Temporal's histories."""
    charger_pepper_file: Path | None = None
    """32 random bytes, base64: the HMAC key over chargers' passwords."""
    key_dir: Path | None = None
    """Signer only: where online key addresses (``file2:``) point; default: data_dir/keys."""
    trusted_root_file: Path | None = None
    """The TUF root that every verifier starts from (S19); default: data_dir/keys/root.json."""

    # The signer process alone; an address says where a key is, never a PIN.
    signer_snapshot: str | None = None
    """Address of the key that signs snapshots: ``hsm:2?label=ampwave``, ``awskms:alias/ampwave-snapshot``,
    ``gcpkms:``, ``azurekms:``, ``hv:`` or ``file2:``; default: snapshot.pem in key_dir."""
    signer_timestamp: str | None = None
    """Address of the key that signs timestamps; default: timestamp.pem in key_dir."""
    signer_directive: str | None = None
    """Address of the key that signs rollout directives; default: directive.pem in key_dir."""
    signer_record: str | None = None
    """Address of the key that signs checkpoints of the audit log and verdicts on evidence; its public half is
    record.pub.json in key_dir. Default: record.pem in key_dir."""
    signer_roles: Words = ()
    """Comma-separated vendor roles that this signer serves; default: all that signed metadata lists."""
    signer_ca: str | None = None
    """Address of the key that issues chargers' certificates (P-256 or P-384); unset: nobody issues, unless
    signer_est_url is set. Only the signer can reach it."""
    signer_ca_certificate_file: Path | None = None
    """That key's certificate, and its root behind it, PEM (``ampwave cert ca``)."""
    signer_ca_former: Words = ()
    """Comma-separated addresses of issuing keys that signer_ca took the place of: they issue nothing more,
    and sign what is revoked until the last certificate that they issued has ended."""
    signer_ca_former_certificate_files: Paths = ()
    """Their certificates, in the same order."""
    signer_ca_organizations: Words = ()
    """Comma-separated: one of them must be the organization in a signing request; unset: any, or none."""
    signer_ca_client_auth_of: Words = ()
    """Comma-separated ``vendor/model``, ``vendor`` or ``*``: whose certificates say clientAuth."""
    signer_ca_days: Annotated[int, Field(ge=1, le=3650)] = 365
    """Days that a charger's certificate holds."""
    signer_certificates_per_day: Annotated[int, Field(ge=1)] = 10
    """Certificates that one charger gets in a day at most."""
    signer_est_url: str | None = None
    """https:// address of an outside authority that speaks EST (RFC 7030); it issues instead of signer_ca."""
    signer_est_label: str | None = None
    """Which of its authorities, where it has several."""
    signer_est_trust_file: Path | None = None
    """PEM of whom the EST server's certificate must come from."""
    signer_est_user: str | None = None
    """For HTTP Basic, where the EST server asks for it."""
    signer_est_password: SecretStr | None = None
    """Also as ``_FILE``."""
    signer_est_cert_file: Path | None = None
    """PEM chain with which the signer proves itself to the EST server, in place of a password."""
    signer_est_key_file: Path | None = None
    """Its private key."""
    signer_metadata_per_minute: Annotated[int, Field(ge=1)] = 60
    """Snapshots a minute, and timestamps, that the signer signs at most (S64)."""
    signer_directives_per_minute: Annotated[int, Field(ge=1)] = 300
    """Directives a minute that it signs at most; one is for up to 500 chargers (S64)."""
    pkcs11_module: Path | None = None
    """The PKCS#11 library of the tokens behind ``hsm:`` addresses, as in /usr/lib/softhsm/libsofthsm2.so."""
    pkcs11_pin: SecretStr | None = None
    """The tokens' user PIN. As ``_FILE`` only, in production; other roles never get it."""
    audit_timestamp_url: str | None = None
    """Signer only: an RFC 3161 authority that dates the checkpoints too; unset: none."""
    evidence_policy_file: Path | None = None
    """Signer only: what a release must prove, by vendor and model (JSON; signing/EVIDENCE.md). Default:
    nothing is mandatory, and whatever is brought must hold."""
    audit_checkpoint_s: Annotated[float, Field(ge=1)] = 600.0
    """Seconds after which the signer vouches for the audit log again, if it grew."""

    development_vendor_roles: str = "voltworks"
    """``up`` only: comma-separated TUF vendor roles for which the first start makes development keys."""

    csms_endpoints_file: Path | None = None
    """JSON: by name, where chargers connect (ws, wss), and by which private APN or tunnel. Chargers are
    moved to these and to nothing else. Default: bind_host's own ports, if that is loopback."""

    # Chargers' sockets.
    csms_tls_cert_file: Path | None = None
    """PEM chain of the csms's server certificate; with the key it opens the TLS port (security profile 2)."""
    csms_tls_key_file: Path | None = None
    """PEM private key of that certificate."""
    csms_tls_more_cert_files: Paths = ()
    """Comma-separated chains of further server certificates: an RSA one beside an ECDSA one."""
    csms_tls_more_key_files: Paths = ()
    """Their private keys, in the same order."""
    csms_charger_ca_files: Paths = ()
    """Comma-separated PEM bundles of who issues chargers' certificates; opens security profile 3."""
    csms_crl_files: Paths = ()
    """Comma-separated revocation lists (PEM or DER) of those authorities."""
    csms_ocsp_url: str | None = None
    """The OCSP responder that is asked about chargers' certificates; unset: none."""
    csms_ocsp_from_certificates: bool = False
    """Without csms_ocsp_url: ask the responder that a charger's own certificate names."""
    csms_ocsp_deadline_s: Annotated[float, Field(gt=0, le=8)] = 5.0
    """Seconds that a responder has to answer; at most 8, a charger that connects waits for it."""
    csms_revocation_check_s: Annotated[float, Field(gt=0, le=25)] = 20.0
    """Seconds after which OCSP is asked about a certificate again; lists are looked at as they change."""
    csms_expired_certificates_of: Words = ()
    """Comma-separated chargers that an expired certificate lets in, only to renew it; unset: none."""
    csms_manufacturer_ca_files: Paths = ()
    """Comma-separated PEM files of manufacturers' authorities. Their certificates open the way in for
    chargers on a signed list, and nothing else; unset: none."""
    csms_reload_s: Annotated[float, Field(gt=0, le=20)] = 3.0
    """Seconds between looks at certificates, authorities and lists; a change counts at the second look."""
    csms_unsafe_static_rsa: bool = False
    """Offer static RSA key exchange (A00.FR.318) too. No forward secrecy: for old chargers only."""
    csms_unsafe_unproven_certificates: bool = False
    """Let chargers in, with a caution, when every list is stale and no responder answers. Default: refuse."""
    certificate_renew: bool = True
    """Renew chargers' certificates by ourselves before they end."""
    certificate_renew_days: Annotated[int, Field(ge=1, le=365)] = 30
    """Days before the end of its certificate from which a charger is renewed (A03.FR.02)."""
    certificate_renew_jitter_days: Annotated[int, Field(ge=0, le=90)] = 10
    """Days before that over which a fleet is spread; each charger has its own."""
    certificate_pressing_days: Annotated[int, Field(ge=0, le=365)] = 21
    """Days before the end from which a charger is taken out of a renewal that is paused or held."""
    certificate_alarm_days: Annotated[int, Field(ge=0, le=365)] = 14
    """Days before the end from which a certificate that is not renewed yet is an incident; 0: never."""
    csms_internal_host: str = "127.0.0.1"
    """Where a csms node serves /metrics, /readyz and /livez; not for the public."""
    csms_internal_port: Port = 9001
    """The port of that; 0: a free one."""
    csms_message_timeout_s: float = 30.0
    """Seconds that a charger has to answer a call."""
    csms_heartbeat_interval_s: Annotated[int, Field(ge=1, le=86400)] = 60
    """Seconds between heartbeats, as told to chargers at boot. The same in all processes: what was heard of
    a charger counts as current for one and a half of them, and for 15 minutes at least."""
    csms_ping_interval_s: Annotated[float, Field(ge=1, le=300)] = 30.0
    """Seconds without a byte from a charger after which its socket is pinged; 30 s later, without one still,
    it is closed. Never without: nothing else finds half-open sockets in the 5 minutes of a site outage."""
    csms_max_frame_bytes: int = 512 * 1024
    """A longer message closes the socket."""
    csms_watchdog_check_s: float = 900.0
    """Seconds between checks with a synthetic silent charger that silence is noticed; 0: no checks."""
    health_hour_s: Annotated[int, Field(ge=1, le=3600), AfterValidator(_divides_an_hour)] = 3600
    """Seconds that an hour of health lasts, in what is counted and in every gate's policy: shorter ones are
    for rehearsals that live through days in minutes. The same in all processes, for a whole database."""
    csms_lease_s: Annotated[float, Field(ge=1, le=600)] = 30.0
    """Seconds for which a node holds the routes of its chargers before it must renew them."""
    csms_messages_per_s: float = 100.0
    """Messages a second of one charger; over it, its socket is read more slowly. 0: no limit."""
    csms_messages_burst: float = 1000.0
    """Messages in a row that a charger may send before that rate counts."""
    csms_connects_per_minute: float = 20.0
    """Sockets a minute that one charger may open; then it is told to wait. 0: no limit."""
    csms_connects_burst: float = 20.0
    """Sockets in a row that a charger may open before that rate counts."""
    csms_handshakes_per_address: int = 3000
    """Connections of one address that may be unauthenticated at once (a balancer is one). 0: no limit."""
    csms_stall_s: float = 10.0
    """Seconds for which a charger may leave unread what it is sent before it is cut off."""
    csms_clock_drift_s: float = 300.0
    """Seconds by which a charger's clock may be wrong before that is flagged."""
    csms_drain_s: float = 10.0
    """Seconds that a node takes at its end to hand its chargers over."""
    data_transfer_vendors: Words = ()
    """Comma-separated vendor ids whose own messages (DataTransfer) people may send; unset: nobody's."""
    drift_grace_s: float = 600.0
    """Seconds online for which a charger may differ from what it acknowledged before that is drift."""
    environment: str = "production"
    """Which environment this is. Enrolments and manufacturers' lists for another one are refused."""
    unsafe_direct_registration: bool = False
    """Let `charger register` and `import` put chargers in service without proof and checklist: for a fleet
    that served before. Else only provisioning may. `up` and `demo` allow it where they start the database."""
    manufacturer_keys_dir: Path | None = None
    """Folder of manufacturers' public keys, as `ampwave key create` writes them, each NAME.pub.json beside a
    NAME.vendor with the vendor's name: whose lists of chargers are believed. Unset: nobody's."""
    quarantine_on_suspicion: bool = False
    """Quarantine a charger at once whose drift looks like an intrusion: an unexpected firmware version, a
    lower security profile, a foreign root certificate, another back end. Else it is only on record."""
    ingest_interval_ms: float = 3.0
    """Milliseconds over which messages of all sockets are gathered into one transaction."""
    log_upload_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024**2
    """The longest log that a charger may upload to us, bytes."""
    log_kept_days: Annotated[int, Field(ge=1)] = 90
    """Days that uploaded logs are kept; then their bytes go, and what is on record of them stays."""
    journal_partition_days: Annotated[int, Field(ge=1, le=31)] = 1
    """Days of raw frames in one partition of the journal."""
    journal_ahead_days: Annotated[int, Field(ge=1, le=90)] = 7
    """How many days ahead housekeeping makes partitions."""
    journal_kept_days: Annotated[int, Field(ge=1)] = 30
    """Days that raw frames are kept; then their partition is dropped whole."""
    events_kept_days: Annotated[int, Field(ge=60)] = 400
    """Days that events are kept, but for those that something needs (`ampwave db retention --dry-run`)."""
    dispute_days: Annotated[int, Field(ge=1)] = 400
    """Days for which a session can be disputed; its events are kept so long at least."""
    incidents_kept_days: Annotated[int, Field(ge=1)] = 400
    """Days that closed incidents are kept."""
    commands_kept_days: Annotated[int, Field(ge=1)] = 400
    """Days that people's commands to chargers are kept; the audit log keeps its own word of them for ever."""
    tickets_kept_days: Annotated[int, Field(ge=1)] = 30
    """Days that download and upload tickets are kept after they expired."""
    session_kept_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    """Days that the record of a charging session is kept once it is over; ``dispute_days`` at least."""
    id_token_kept_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """Days that the hash of who charged is kept, in records of sessions and in events."""
    unsafe_security_profile_0: bool = False
    """Let chargers connect without a password. For a bench, never for a fleet."""

    # People.
    api_token_file: Path | None = None
    """CLI only: the bearer token to use; default: data_dir/token, which ``up`` writes."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_json: bool = False
    """One JSON object per line, for machines; otherwise lines for people."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first that knows a value decides."""
        return init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings, file_secret_settings

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
