"""A manufacturer with one signing certificate per scheme, its two RSA schemes over the same key."""

from dataclasses import dataclass, replace
from datetime import datetime

from signing.development import DevelopmentLeaf, DevelopmentManufacturer
from storage.charger import SignatureScheme


@dataclass(frozen=True, slots=True)
class Maker:
    root: str
    leaves: dict[SignatureScheme, DevelopmentLeaf]

    def sign(self, scheme: SignatureScheme, image: bytes) -> tuple[str, str]:
        """(base64 signature, certificate PEM) of an image."""
        proof = self.leaves[scheme].sign(image)
        return proof.signature, proof.certificate


def found_maker(now: datetime, name: str = "Wadebridge Works") -> Maker:
    made = DevelopmentManufacturer.create(name, now)
    salted = made.leaf(SignatureScheme.RSA_PSS, now, rsa_bits=2048)
    leaves = {
        SignatureScheme.ECDSA_P256: made.leaf(SignatureScheme.ECDSA_P256, now),
        SignatureScheme.RSA_PSS: salted,
        # The same key and certificate, so that only the padding tells the two apart.
        SignatureScheme.RSA_PKCS1V15: replace(salted, scheme=SignatureScheme.RSA_PKCS1V15),
    }
    return Maker(made.root, leaves)
