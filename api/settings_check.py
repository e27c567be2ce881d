"""What is wrong with a set of settings, before a role finds out the hard way."""

from api.codec import read_key
from api.settings import Settings
from storage.errors import AmpwaveError

_S3 = ("s3_endpoint", "s3_access_key", "s3_secret_key")


def problems(settings: Settings) -> list[str]:
    """Everything that would keep a role from starting, one sentence each; no network is touched."""
    return [*_engine_problems(settings), *_key_problems(settings), *_address_problems(settings)]


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
    if (settings.csms_tls_cert_file is None) != (settings.csms_tls_key_file is None):
        found.append("AMPWAVE_CSMS_TLS_CERT_FILE and AMPWAVE_CSMS_TLS_KEY_FILE go together.")
    root = settings.trusted_root_file
    if root is not None and not root.is_file():
        found.append(f"AMPWAVE_TRUSTED_ROOT_FILE: {root} does not exist.")
    return found


def _address_problems(settings: Settings) -> list[str]:
    found = []
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        found.append("AMPWAVE_PUBLIC_URL must begin with http:// or https://.")
    # A download address is /d/ and 43 characters; OCPP allows 512 in all (S34).
    if len(settings.base_url) > 400:
        found.append("AMPWAVE_PUBLIC_URL is too long: chargers take at most 512 characters of location.")
    ports = [settings.api_port, settings.csms_port, settings.csms_tls_port]
    if len(set(ports)) != len(ports):
        found.append("The api's and the csms's ports must differ.")
    return found
