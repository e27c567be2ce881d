"""What is in a certificate of ours: of a root, of an issuing authority, of a charger (S55)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from signing.ca.key import key_digest

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

ROOT_LIFE = timedelta(days=365 * 20)
ISSUING_LIFE = timedelta(days=365 * 5)
BACKDATED = timedelta(days=1)
"""Certificates hold from a little earlier, for chargers whose clock is behind."""


@dataclass(frozen=True, slots=True)
class ChargerProfile:
    """A charger's certificate: no subjectAltName and no extended key usage (A00.FR.511, 514)."""

    life: timedelta = timedelta(days=365)
    client_auth_of: frozenset[str] = frozenset()
    """``vendor/model``, ``vendor`` or ``*``: whose certificates say clientAuth, which some insist on."""
    lists_url: str = ""
    """Below which each issuer's revocation list is; "": the certificate does not say."""
    ocsp_url: str = ""

    def says_client_auth(self, vendor: str, model: str) -> bool:
        """Whether this model's certificates do."""
        return bool({"*", vendor, f"{vendor}/{model}"} & self.client_auth_of)


def authority_builder(
    subject: x509.Name, issuer: x509.Certificate | None, public: PublicKey, now: datetime
) -> x509.CertificateBuilder:
    """A root (``issuer`` None), or an issuing authority below one."""
    life = ROOT_LIFE if issuer is None else ISSUING_LIFE
    ends = now + life if issuer is None else min(now + life, issuer.not_valid_after_utc)
    name = subject if issuer is None else issuer.subject
    builder = _builder(subject, name, public, now, ends)
    depth = 1 if issuer is None else 0
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    return _identified(builder, public, issuer)


def charger_builder(
    subject: x509.Name, issuer: x509.Certificate, public: PublicKey, now: datetime, profile: ChargerProfile
) -> x509.CertificateBuilder:
    """A charger's certificate; it never outlives its issuer."""
    ends = min(now + profile.life, issuer.not_valid_after_utc)
    builder = _builder(subject, issuer.subject, public, now, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    if profile.lists_url:
        # RFC 5280 4.2.1.13: a list of its own issuer, which another key's is not.
        address = f"{profile.lists_url}/{key_digest(issuer)}.crl"
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(address)], None, None, None)]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    if profile.ocsp_url:
        where = x509.UniformResourceIdentifier(profile.ocsp_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return _identified(builder, public, issuer)


def with_client_auth(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """For models that insist on it."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=False)


def subject_of(common_name: str, organization: str = "") -> x509.Name:
    """A name of ours: nothing of a request but these two is ever taken over."""
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(ends)
    )


def _identified(
    builder: x509.CertificateBuilder, public: PublicKey, issuer: x509.Certificate | None
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if issuer is None:
        return builder
    above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above)
    return builder.add_extension(identifier, critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
