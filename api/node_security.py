"""From settings to what a csms node's TLS is made of."""

from api.settings import Settings
from csms.client_certificates import ClientTlsOptions
from csms.newcomers import Newcomers
from csms.pki.ocsp_client import OcspOptions
from csms.pki.trust import TrustFiles
from csms.tls import CertificateFiles, ServerTlsFiles
from storage.clock import system_clock
from storage.errors import InvalidInput
from storage.provisioning import Arrival, ProvisioningStore


def server_tls_files(settings: Settings) -> ServerTlsFiles | None:
    """The files of the TLS port; None: it stays closed. Raises InvalidInput when they do not pair up."""
    first = (settings.csms_tls_cert_file, settings.csms_tls_key_file)
    chains = [path for path in (first[0], *settings.csms_tls_more_cert_files) if path is not None]
    keys = [path for path in (first[1], *settings.csms_tls_more_key_files) if path is not None]
    if (first[0] is None) != (first[1] is None) or len(chains) != len(keys):
        raise InvalidInput(
            "Every server certificate needs its key: AMPWAVE_CSMS_TLS_CERT_FILE goes with"
            " AMPWAVE_CSMS_TLS_KEY_FILE, AMPWAVE_CSMS_TLS_MORE_CERT_FILES with ..._MORE_KEY_FILES."
        )
    if not chains:
        if settings.csms_charger_ca_files:
            raise InvalidInput("AMPWAVE_CSMS_CHARGER_CA_FILES needs AMPWAVE_CSMS_TLS_CERT_FILE too.")
        return None
    pairs = tuple(CertificateFiles(chain, key) for chain, key in zip(chains, keys, strict=True))
    return ServerTlsFiles(
        pairs,
        (*settings.csms_charger_ca_files, *settings.csms_manufacturer_ca_files),
        unsafe_static_rsa=settings.csms_unsafe_static_rsa,
        times_later=bool(settings.csms_expired_certificates_of),
    )


def newcomers_of(settings: Settings, enrolments: ProvisioningStore) -> Newcomers | None:
    """Who judges manufacturers' certificates; None: they open nothing. Raises InvalidInput."""
    if not settings.csms_manufacturer_ca_files:
        return None
    if settings.csms_tls_cert_file is None:
        raise InvalidInput("AMPWAVE_CSMS_MANUFACTURER_CA_FILES needs AMPWAVE_CSMS_TLS_CERT_FILE too.")

    async def arrive(given: Arrival) -> str:
        return await enrolments.arrive(given, settings.environment)

    return Newcomers(settings.csms_manufacturer_ca_files, arrive, system_clock)


def client_tls_options(settings: Settings) -> ClientTlsOptions | None:
    """How chargers' certificates are judged; None: they are not asked for."""
    if not settings.csms_charger_ca_files:
        return None
    return ClientTlsOptions(
        TrustFiles(settings.csms_charger_ca_files, settings.csms_crl_files),
        OcspOptions(
            settings.csms_ocsp_url,
            settings.csms_ocsp_from_certificates,
            settings.csms_ocsp_deadline_s,
            settings.csms_revocation_check_s,
        ),
        settings.csms_unsafe_unproven_certificates,
        settings.csms_revocation_check_s,
        frozenset(settings.csms_expired_certificates_of),
    )
