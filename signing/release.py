"""One released image as people signed it: the TUF target and its custom field (S17, S23).

Everything that decides about an image lives in the signed target: version, counter, models and the
vendor's signatures with their certificates. Measured 1.1 kB per target with one P-256 signature and
2.0 kB with one RSA-3072 signature, so the 2 MB of a role hold 1,000 to 1,700 releases.
"""

import re
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import TargetFile, Targets

from signing.errors import VerificationFailed
from signing.roles import path_problems
from storage.artifact import Artifact, Compatible, VendorSignature
from storage.charger import SignatureScheme
from storage.evidence import EvidenceKind

_FORMAT = 1
_FIELDS = {"format", "version", "release_counter", "compatible", "vendor_signatures"}
_EVIDENCE = "evidence"
"""The one field that may be missing: a release without evidence is written as before there was any."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Release:
    """An image in signed metadata. ``sha256`` is also the key of its bytes in the store."""

    role: str
    path: str
    version: str
    release_counter: int
    sha256: str
    length: int
    compatible: tuple[Compatible, ...]
    vendor_signatures: tuple[VendorSignature, ...]
    evidence: tuple[tuple[str, str], ...] = ()
    """Kind and SHA-256 of each piece: parts list, provenance, VEX and the verdict on them (S49), by kind."""

    def signature_for(self, scheme: SignatureScheme) -> VendorSignature | None:
        """The vendor's signature under a scheme, if the release carries one (S33: never guessed)."""
        return next((proof for proof in self.vendor_signatures if proof.scheme is scheme), None)

    def fits(self, vendor: str, model: str, hardware_revision: str | None) -> bool:
        """Whether the signed list names this charger's vendor, model and revision (S26)."""
        return any(
            (entry.vendor, entry.model) == (vendor, model)
            and (not entry.hardware_revisions or hardware_revision in entry.hardware_revisions)
            for entry in self.compatible
        )


def release_of(artifact: Artifact) -> Release:
    """What would be signed for an uploaded artifact."""
    return Release(
        role=artifact.vendor_role,
        path=artifact.target_path,
        version=artifact.version,
        release_counter=artifact.release_counter,
        sha256=artifact.artifact_id,
        length=artifact.length,
        compatible=artifact.compatible,
        vendor_signatures=artifact.vendor_signatures,
        evidence=tuple(sorted((ref.kind.value, ref.sha256) for ref in artifact.evidence)),
    )


def release_problems(release: Release) -> list[str]:
    """What is wrong with a release's own fields, in words; empty when it may be listed."""
    problems = path_problems(release.role, release.version, release.path)
    if release.release_counter < 1:
        problems.append(f"release counter {release.release_counter} must be 1 or more")
    if release.length < 1:
        problems.append("the file is empty")
    if not _SHA256.fullmatch(release.sha256):
        problems.append("the SHA-256 must be 64 lower-case hex digits")
    if not release.compatible:
        problems.append("no compatible model is named")
    pairs = [(entry.vendor, entry.model) for entry in release.compatible]
    problems += [f"model {vendor} {model} is named twice" for vendor, model in _repeated(pairs)]
    schemes = [proof.scheme for proof in release.vendor_signatures]
    problems += [f"there are two {scheme.value} signatures" for scheme in _repeated(schemes)]
    return problems


def to_target(release: Release) -> TargetFile:
    """The TUF target. Only sha256 is listed: clients name downloads by the first hash."""
    custom: dict[str, Any] = {
        "format": _FORMAT,
        "version": release.version,
        "release_counter": release.release_counter,
        "compatible": [
            {
                "vendor": entry.vendor,
                "model": entry.model,
                "hardware_revisions": list(entry.hardware_revisions),
            }
            for entry in release.compatible
        ],
        "vendor_signatures": [
            {"scheme": proof.scheme.value, "signature": proof.signature, "certificate": proof.certificate}
            for proof in release.vendor_signatures
        ],
    }
    if release.evidence:
        custom[_EVIDENCE] = dict(release.evidence)
    return TargetFile(release.length, {"sha256": release.sha256}, release.path, {"custom": custom})


def from_target(role: str, target: TargetFile) -> Release:
    """Read a target of a vendor role. Raises VerificationFailed for anything but our exact form."""
    try:
        release = _parse(role, target)
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(f"Target {target.path!r} is not a firmware release: {error}.") from error
    problems = release_problems(release)
    if problems:
        raise VerificationFailed(f"Target {target.path!r} breaks the rules: {'; '.join(problems)}.")
    return release


def releases(role: str, targets: Targets) -> dict[str, Release]:
    """All releases of a role by path."""
    return {path: from_target(role, target) for path, target in targets.targets.items()}


def _parse(role: str, target: TargetFile) -> Release:
    custom: dict[str, Any] = target.custom
    if set(custom) - {_EVIDENCE} != _FIELDS or custom["format"] != _FORMAT:
        raise ValueError("its custom field has another format")
    if set(target.hashes) != {"sha256"} or set(target.unrecognized_fields) != {"custom"}:
        raise ValueError("it must list sha256 and custom alone")
    return Release(
        role=role,
        path=target.path,
        version=_typed(custom["version"], str),
        release_counter=_typed(custom["release_counter"], int),
        sha256=target.hashes["sha256"],
        length=_typed(target.length, int),
        compatible=tuple(_compatible(entry) for entry in custom["compatible"]),
        vendor_signatures=tuple(_proof(entry) for entry in custom["vendor_signatures"]),
        evidence=_evidence(custom[_EVIDENCE]) if _EVIDENCE in custom else (),
    )


def _compatible(entry: dict[str, Any]) -> Compatible:
    revisions = tuple(_typed(item, str) for item in entry["hardware_revisions"])
    return Compatible(_typed(entry["vendor"], str), _typed(entry["model"], str), revisions)


def _evidence(entry: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    pieces = tuple(sorted((EvidenceKind(kind).value, _typed(sha256, str)) for kind, sha256 in entry.items()))
    if not pieces or not all(_SHA256.fullmatch(sha256) for _, sha256 in pieces):
        raise ValueError("its evidence is not named by SHA-256")
    return pieces


def _proof(entry: dict[str, Any]) -> VendorSignature:
    scheme = SignatureScheme(entry["scheme"])
    return VendorSignature(scheme, _typed(entry["signature"], str), _typed(entry["certificate"], str))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _repeated(items: list[Any]) -> list[Any]:
    return sorted({item for item in items if items.count(item) > 1})
