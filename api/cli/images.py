"""Signing a firmware image on this machine, and checking the signature as a charger would."""

import base64
from datetime import datetime
from pathlib import Path

from api.cli.errors import WrongUse
from api.cli.manifest import file_sha256, signature_scheme
from signing.vendor_signature import verify_vendor_signature
from signing.vendor_signing import sign_image_digest
from storage.artifact import VendorSignature


def make_signature(image: Path, key: str, certificate: Path, scheme: str, now: datetime) -> VendorSignature:
    """Raises WrongUse, KeyUnavailable, or VendorSignatureBad when key, certificate and scheme disagree."""
    chosen = signature_scheme(scheme)
    try:
        pem = certificate.read_text("ascii")
    except (OSError, ValueError) as error:
        raise WrongUse(f"{certificate} is not a PEM certificate.") from error
    digest = bytes.fromhex(file_sha256(image))
    signature = base64.b64encode(sign_image_digest(key, chosen, digest)).decode()
    proof = VendorSignature(chosen, signature, pem)
    verify_vendor_signature(proof, digest, now)
    return proof
