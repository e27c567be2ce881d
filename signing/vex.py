"""A signed VEX: somebody who is named says why a vulnerability does not matter in this image (S51).

OpenVEX (bare, or as an in-toto statement) and CycloneDX VEX, each in a DSSE envelope. A statement counts
only for this image, by its SHA-256; ``affected`` and ``under investigation`` excuse nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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
_NEVER, _EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


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
        document = read_object(opened.payload, "the VEX", limit=MAX_VEX)
        if problems := cyclonedx_problems(document, len(opened.payload)):
            raise VerificationFailed(f"The VEX is not a CycloneDX document: {problems[0]}.")
        return _of_cyclonedx(document, image_sha256)
    if opened.payload_type == IN_TOTO:
        document = read_statement(opened.payload, "the VEX", _IN_TOTO_OPENVEX, image_sha256)
        return _of_openvex(document, image_sha256, bound=True)
    document = read_object(opened.payload, "the VEX", limit=MAX_VEX)
    return _of_openvex(document, image_sha256, bound=False)


def _of_openvex(document: dict[str, Any], image_sha256: str, *, bound: bool) -> frozenset[str]:
    statements = document.get("statements")
    if not str(document.get("@context", "")).startswith(_OPENVEX_CONTEXT) or not isinstance(statements, list):
        raise VerificationFailed("The VEX is not an OpenVEX document.")
    about_us: list[_Said] = []
    for statement in statements:
        products = statement.get("products") or [] if isinstance(statement, dict) else None
        if not isinstance(products, list):
            raise VerificationFailed("The VEX has a statement of another form than OpenVEX gives it.")
        if any(image_sha256 in _product_digests(product) for product in products) or (bound and not products):
            when = _when(statement.get("timestamp"), document.get("timestamp"))
            names = frozenset(_names(statement.get("vulnerability")))
            about_us.append(_Said(names, when, excuses=_openvex_says_no(statement)))
    if not about_us:
        raise VerificationFailed(
            f"No statement of the VEX is about this image (SHA-256 {image_sha256[:16]})."
        )
    return _last_words(about_us)


@dataclass(frozen=True, slots=True)
class _Said:
    """One statement about this image."""

    names: frozenset[str]
    at: datetime | None
    excuses: bool


def _last_words(statements: Iterable[_Said]) -> frozenset[str]:
    """The vulnerabilities whose last word is an excuse (OpenVEX 0.2.0: a later statement overrides).

    Where it is not plain which of two came later, the one that excuses nothing counts.
    """
    against: dict[str, datetime] = {}
    excused: dict[str, datetime] = {}
    for said in statements:
        # Without a time an excuse is older than everything, and all else is younger.
        unknown = _NEVER if said.excuses else _EVER
        words = excused if said.excuses else against
        for name in said.names:
            words[name] = max(words.get(name, _NEVER), said.at or unknown)
    return frozenset(name for name, at in excused.items() if name not in against or at > against[name])


def _when(*given: Any) -> datetime | None:
    """The first that is a time, of the statement and else of its document."""
    for one in given:
        try:
            at = datetime.fromisoformat(one)
        except (TypeError, ValueError):
            continue
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None


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


def _of_cyclonedx(document: dict[str, Any], image_sha256: str) -> frozenset[str]:
    component = (document.get("metadata") or {}).get("component")
    if image_sha256 not in image_digests(component):
        raise VerificationFailed(f"The VEX is not about this image (SHA-256 {image_sha256[:16]}).")
    return _last_words(map(_said, document.get("vulnerabilities") or []))


def _said(one: dict[str, Any]) -> _Said:
    analysis = one.get("analysis") or {}
    why = analysis.get("justification") or analysis.get("detail")
    state = analysis.get("state")
    excuses = state in _CYCLONEDX_NO and bool(why or state != "not_affected")
    names = frozenset([str(one["id"]).upper()] if one.get("id") else [])
    return _Said(names, _when(analysis.get("lastUpdated"), analysis.get("firstIssued")), excuses=excuses)
