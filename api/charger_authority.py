"""Who issues chargers' certificates here: our own authority, one elsewhere, or nobody."""

import ssl
from datetime import timedelta
from pathlib import Path

from api.key_access import use_tokens
from api.settings import Settings
from signing.ca.builtin import BuiltInAuthority
from signing.ca.csr import CsrPolicy
from signing.ca.est import EstAuthority, EstServer
from signing.ca.ports import CertificateAuthority
from signing.ca.profile import ChargerProfile
from storage.errors import InvalidInput

LISTS_PATH = "/pki"
"""Below it each issuer's list: the SHA-256 of its key, ``.crl``."""
OCSP_PATH = "/pki/ocsp"


def charger_authority(settings: Settings) -> CertificateAuthority | None:
    """For the signer. Raises InvalidInput for settings that contradict each other, KeyUnavailable."""
    policy = CsrPolicy(settings.signer_ca_organizations)
    if settings.signer_est_url is not None:
        if settings.signer_ca is not None:
            raise InvalidInput("AMPWAVE_SIGNER_CA and AMPWAVE_SIGNER_EST_URL are both set; one issues.")
        return EstAuthority(est_server(settings, settings.signer_est_url), policy)
    if settings.signer_ca is None:
        return None
    if settings.signer_ca_certificate_file is None:
        raise InvalidInput(
            "AMPWAVE_SIGNER_CA is set without AMPWAVE_SIGNER_CA_CERTIFICATE_FILE.",
            hint="`ampwave cert ca` makes both.",
        )
    use_tokens(settings)
    profile = ChargerProfile(
        life=timedelta(days=settings.signer_ca_days),
        client_auth_of=frozenset(settings.signer_ca_client_auth_of),
        lists_url=settings.base_url + LISTS_PATH,
        ocsp_url=settings.base_url + OCSP_PATH,
    )
    certificates = _read(settings.signer_ca_certificate_file)
    return BuiltInAuthority(settings.signer_ca, certificates, policy, profile)


def former_authorities(settings: Settings) -> tuple[CertificateAuthority, ...]:
    """Those that issue no more, for the signer: they sign lists and answers until what they issued ended.

    Raises InvalidInput, KeyUnavailable.
    """
    keys, files = settings.signer_ca_former, settings.signer_ca_former_certificate_files
    if len(keys) != len(files):
        raise InvalidInput(
            f"AMPWAVE_SIGNER_CA_FORMER names {len(keys)} keys, and"
            f" AMPWAVE_SIGNER_CA_FORMER_CERTIFICATE_FILES {len(files)} files.",
            hint="Each former key has its certificate, in the same order.",
        )
    if keys:
        use_tokens(settings)
    return tuple(
        BuiltInAuthority(key, _read(file), CsrPolicy(), ChargerProfile())
        for key, file in zip(keys, files, strict=True)
    )


def est_server(settings: Settings, url: str) -> EstServer:
    """How the outside authority is reached. Raises InvalidInput."""
    context = ssl.create_default_context(
        cafile=None if settings.signer_est_trust_file is None else str(settings.signer_est_trust_file)
    )
    if settings.signer_est_cert_file is not None:
        try:
            context.load_cert_chain(settings.signer_est_cert_file, settings.signer_est_key_file)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"{settings.signer_est_cert_file} cannot be used to prove ourselves: {error}"
            ) from error
    password = settings.signer_est_password.get_secret_value() if settings.signer_est_password else ""
    basic = (settings.signer_est_user, password) if settings.signer_est_user else None
    return EstServer(url, context, settings.signer_est_label, basic)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as certificates (PEM).") from error
