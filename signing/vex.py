"""A signed VEX: somebody who is named says why a vulnerability does not matter in this image (S51).

OpenVEX (bare, or as an in-toto statement) and CycloneDX VEX, each in a DSSE envelope. A statement counts
only for this image, by its SHA-256; ``affected`` and ``under investigation`` excuse nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from securesystemslib.signer import Key

from signing.dsse import Opened, open_payload, parse_envelope
from signing.errors import VerificationFailed
from signing.provenance import IN_TOTO, read_statement
from signing.sbom import cyclonedx_problems, image_digests
from signing.strict_json import read_object

MAX_VEX = 1024 * 1024
OPENVEX = "application/vnd.openvex+json"
CYCLONEDX = "application/vnd.cyclonedx+json"
TYPES = frozenset({OPENVEX, CYCLONEDX, IN_TOTO})
_OPENVEX_CONTEXT = "https://openvex.dev/ns"
_IN_TOTO_OPENVEX = "https://openvex.dev/ns/v0.2.0"


def check_shape(data: bytes, image_sha256: str) -> None:
    """What can be said without knowing who signed. Raises VerificationFailed or InvalidInput."""
    envelope = parse_envelope(data, "the VEX", limit=MAX_VEX)
    if envelope.payload_type not in TYPES:
        raise VerificationFailed(
            f"The VEX holds {envelope.payload_type[:80]!r}, not {' or '.join(sorted(TYPES))}."
        )
    _excused(Opened(envelope.payload, envelope.payload_type, ""), image_sha256)


def excused(data: bytes, image_sha256: str, keys: Mapping[str, Key]) -> frozenset[str]:
    """The vulnerabilities, in upper case, that a trusted person says do not matter in this image.

    Raises VerificationFailed or InvalidInput.
    """
    if not keys:
        raise VerificationFailed(
            "Nobody is named for this model whose VEX counts.",
            hint="Name their key in the evidence policy, or leave the VEX out.",
        )
    return _excused(open_payload(data, "the VEX", TYPES, keys, limit=MAX_VEX), image_sha256)


def _excused(opened: Opened, image_sha256: str) -> frozenset[str]:
    if opened.payload_type == CYCLONEDX:
        return frozenset(_of_cyclonedx(read_object(opened.payload, "the VEX", limit=MAX_VEX), image_sha256))
    if opened.payload_type == IN_TOTO:
        document = read_statement(opened.payload, "the VEX", _IN_TOTO_OPENVEX, image_sha256)
        return frozenset(_of_openvex(document, image_sha256, bound=True))
    document = read_object(opened.payload, "the VEX", limit=MAX_VEX)
    return frozenset(_of_openvex(document, image_sha256, bound=False))


def _of_openvex(document: dict[str, Any], image_sha256: str, *, bound: bool) -> Iterator[str]:
    statements = document.get("statements")
    if not str(document.get("@context", "")).startswith(_OPENVEX_CONTEXT) or not isinstance(statements, list):
        raise VerificationFailed("The VEX is not an OpenVEX document.")
    about_us = False
    for statement in statements:
        products = statement.get("products") or [] if isinstance(statement, dict) else []
        ours = any(image_sha256 in _product_digests(product) for product in products) or (
            bound and not products
        )
        about_us = about_us or ours
        if ours and _openvex_says_no(statement):
            yield from _names(statement.get("vulnerability"))
    if not about_us:
        raise VerificationFailed(
            f"No statement of the VEX is about this image (SHA-256 {image_sha256[:16]})."
        )


def _openvex_says_no(statement: dict[str, Any]) -> bool:
    """OpenVEX 0.2.0: not_affected needs a justification or an impact statement."""
    if statement.get("status") == "fixed":
        return True
    why = statement.get("justification") or statement.get("impact_statement")
    return statement.get("status") == "not_affected" and bool(why)


def _product_digests(product: Any) -> set[str]:
    hashes = product.get("hashes") if isinstance(product, dict) else None
    return {str(hashes.get("sha-256", "")).lower()} if isinstance(hashes, dict) else set()


def _names(vulnerability: Any) -> Iterator[str]:
    if isinstance(vulnerability, dict):
        aliases = vulnerability.get("aliases")
        names = [vulnerability.get("name"), *(aliases if isinstance(aliases, list) else [])]
        yield from (name.upper() for name in names if isinstance(name, str) and name)


_CYCLONEDX_NO = frozenset({"not_affected", "resolved", "resolved_with_pedigree", "false_positive"})


def _of_cyclonedx(document: dict[str, Any], image_sha256: str) -> Iterator[str]:
    if problems := cyclonedx_problems(document):
        raise VerificationFailed(f"The VEX is not a CycloneDX document: {problems[0]}.")
    component = (document.get("metadata") or {}).get("component")
    if image_sha256 not in image_digests(component):
        raise VerificationFailed(f"The VEX is not about this image (SHA-256 {image_sha256[:16]}).")
    for one in document.get("vulnerabilities") or []:
        analysis = one.get("analysis") or {}
        why = analysis.get("justification") or analysis.get("detail")
        state = analysis.get("state")
        if one.get("id") and state in _CYCLONEDX_NO and (why or state != "not_affected"):
            yield str(one["id"]).upper()
