"""What is wrong with a set of settings, before a role finds out the hard way."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from api.codec import read_key
from api.endpoints import read_endpoints
from api.node_security import client_tls_options, server_tls_files
from api.settings import Settings
from api.webhook_url import WebhookRules
from csms.pki.trust import load_trust
from csms.tls import build_context, expiry_problems
from signing.addresses import HSM_SCHEME, holder_of
from signing.errors import SigningError
from storage.errors import AmpwaveError

_S3 = ("s3_endpoint", "s3_access_key", "s3_secret_key")


def problems(settings: Settings) -> list[str]:
    """Everything that would keep a role from starting, one sentence each; no network is touched."""
    return [
        *_engine_problems(settings),
        *_key_problems(settings),
        *_signer_problems(settings),
        *_tls_problems(settings),
        *_address_problems(settings),
        *_webhook_problems(settings),
        *_endpoint_problems(settings),
    ]


def _endpoint_problems(settings: Settings) -> list[str]:
    try:
        read_endpoints(settings)
    except AmpwaveError as error:
        return [error.diagnostics()]
    return []


def _webhook_problems(settings: Settings) -> list[str]:
    try:
        WebhookRules.of(settings.webhook_networks, plain_http=settings.unsafe_plain_http_webhooks)
    except AmpwaveError as error:
        return [error.diagnostics()]
    return []


def _engine_problems(settings: Settings) -> list[str]:
    given = [name for name in _S3 if getattr(settings, name) is not None]
    found = []
    if given and len(given) < len(_S3):
        missing = ", ".join(f"AMPWAVE_{name.upper()}" for name in _S3 if name not in given)
        found.append(f"An S3 service needs all three settings; missing: {missing}.")
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    if url and not url.startswith("postgresql://"):
        found.append("AMPWAVE_DATABASE_URL must begin with postgresql://.")
    if settings.temporal_address and ":" not in settings.temporal_address:
        found.append("AMPWAVE_TEMPORAL_ADDRESS must be host:port.")
    return found


def _key_problems(settings: Settings) -> list[str]:
    """Key files that a setting names must be there; those of the data folder are made by ``up``."""
    found = []
    for path in (settings.payload_key_file, settings.charger_pepper_file):
        if path is not None:
            try:
                read_key(path)
            except AmpwaveError as error:
                found.append(error.diagnostics())
    root = settings.trusted_root_file
    if root is not None and not root.is_file():
        found.append(f"AMPWAVE_TRUSTED_ROOT_FILE: {root} does not exist.")
    return found


def _signer_problems(settings: Settings) -> list[str]:
    """Addresses are looked at, not opened: `ampwave key check` opens them."""
    found: list[str] = []
    given: dict[str, list[str]] = {}
    for name in ("signer_snapshot", "signer_timestamp", "signer_directive", "signer_record"):
        address = getattr(settings, name)
        if address is not None:
            given.setdefault(address, []).append(f"AMPWAVE_{name.upper()}")
            try:
                holder_of(address)
            except SigningError as error:
                found.append(f"AMPWAVE_{name.upper()}: {error.diagnostics()}")
    found += [
        f"{' and '.join(names)} are one key; each needs its own (S6)."
        for names in given.values()
        if names[1:]
    ]
    if any(address.startswith(f"{HSM_SCHEME}:") for address in given):
        module = settings.pkcs11_module
        if module is None or not module.is_file():
            found.append("AMPWAVE_PKCS11_MODULE must name the PKCS#11 library of your token.")
        if settings.pkcs11_pin is None:
            found.append("AMPWAVE_PKCS11_PIN_FILE must name a file with the token's PIN.")
    return found


def _tls_problems(settings: Settings) -> list[str]:
    """Every file of the TLS port is read as a node would read it."""
    found = []
    try:
        files = server_tls_files(settings)
        if files is not None:
            build_context(files)
            found += expiry_problems(files, datetime.now(UTC))
        options = client_tls_options(settings)
        if options is not None:
            load_trust(options.files)
    except AmpwaveError as error:
        found.append(error.diagnostics())
    url = settings.csms_ocsp_url
    if url is not None and not url.startswith(("http://", "https://")):
        found.append("AMPWAVE_CSMS_OCSP_URL must begin with http:// or https://.")
    if settings.csms_crl_files and not settings.csms_charger_ca_files:
        found.append("AMPWAVE_CSMS_CRL_FILES says nothing without AMPWAVE_CSMS_CHARGER_CA_FILES.")
    return found


def _open_network_problems(settings: Settings) -> list[str]:
    """What crosses a network must be encrypted, unless somebody signed for it by name (S30, S42, S46)."""
    found = []
    if _crosses_openly(settings.s3_endpoint) and not settings.unsafe_plain_http_s3:
        found.append(
            "AMPWAVE_S3_ENDPOINT is http:// on another machine: use https://, "
            "or set AMPWAVE_UNSAFE_PLAIN_HTTP_S3=true."
        )
    if _crosses_openly(settings.public_url) and not settings.unsafe_plain_http_for_all:
        found.append(
            "AMPWAVE_PUBLIC_URL is http:// on another machine: use https://, "
            "or set AMPWAVE_UNSAFE_PLAIN_HTTP_FOR_ALL=true. For single old models there is "
            "AMPWAVE_UNSAFE_PLAIN_HTTP_URL."
        )
    plain = settings.unsafe_plain_http_url
    if plain is not None and not plain.startswith("http://"):
        found.append("AMPWAVE_UNSAFE_PLAIN_HTTP_URL must begin with http://.")
    for name in ("public_url", "unsafe_plain_http_url", "s3_endpoint"):
        text = getattr(settings, name) or ""
        if "@" in text or text.lower().startswith(("ftp:", "ftps:", "sftp:")):
            found.append(
                f"AMPWAVE_{name.upper()}: no user name, password or FTP: a password shared by chargers "
                "is everybody's."
            )
    return found


def _crosses_openly(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")


def _address_problems(settings: Settings) -> list[str]:
    found = []
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        found.append("AMPWAVE_PUBLIC_URL must begin with http:// or https://.")
    found += _open_network_problems(settings)
    # A download address is /d/ and 43 characters; OCPP allows 512 in all (S34).
    if len(settings.base_url) > 400:
        found.append("AMPWAVE_PUBLIC_URL is too long: chargers take at most 512 characters of location.")
    ports = [
        port
        for port in (
            settings.api_port,
            settings.csms_port,
            settings.csms_tls_port,
            settings.csms_internal_port,
        )
        if port
    ]
    if len(set(ports)) != len(ports):
        found.append("The api's and the csms's ports must differ.")
    return found
