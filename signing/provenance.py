"""SLSA provenance in a DSSE envelope: by a pinned builder, of this image, from nothing unexpected (S50)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from securesystemslib.signer import Key

from signing.dsse import open_payload, parse_envelope
from signing.errors import VerificationFailed
from signing.strict_json import capital, read_object

MAX_PROVENANCE = 1024 * 1024
IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SLSA = "https://slsa.dev/provenance/v1"
ANY = "*"


@dataclass(frozen=True, slots=True)
class Builder:
    """Who may build, with which keys it signs, and from what. ``parameters``: a value, or ``*`` for any."""

    builder_id: str
    keys: Mapping[str, Key]
    build_type: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_statement(payload: bytes, what: str, predicate_type: str, image_sha256: str) -> dict[str, Any]:
    """The predicate of an in-toto statement about this image alone. Raises VerificationFailed."""
    raw = read_object(payload, what, limit=MAX_PROVENANCE)
    if raw.get("_type") != STATEMENT or raw.get("predicateType") != predicate_type:
        raise VerificationFailed(
            f"{capital(what)} is a {str(raw.get('predicateType'))[:80]!r}, "
            f"not a {predicate_type} in an in-toto v1 statement."
        )
    subjects, predicate = raw.get("subject"), raw.get("predicate")
    if not isinstance(subjects, list) or not isinstance(predicate, dict):
        raise VerificationFailed(f"{capital(what)} lacks its subject or its predicate.")
    digests = {_sha256_of(subject) for subject in subjects}
    if digests != {image_sha256}:
        named = ", ".join(sorted(str(digest)[:16] for digest in digests)) or "nothing"
        raise VerificationFailed(
            f"{capital(what)} is about {named}, not about this image alone ({image_sha256[:16]})."
        )
    return predicate


def check_shape(data: bytes, image_sha256: str) -> None:
    """What can be said without knowing any builder. Raises VerificationFailed or InvalidInput."""
    envelope = parse_envelope(data, "the provenance", limit=MAX_PROVENANCE)
    if envelope.payload_type != IN_TOTO:
        raise VerificationFailed(f"The provenance holds {envelope.payload_type[:80]!r}, not {IN_TOTO}.")
    read_statement(envelope.payload, "the provenance", SLSA, image_sha256)


def provenance_problems(data: bytes, image_sha256: str, builders: tuple[Builder, ...]) -> list[str]:
    """Why no pinned builder vouches for the image; empty when one does."""
    if not builders:
        return [
            "no builder is pinned for this model, so its provenance proves nothing: pin one, or leave it out"
        ]
    keys = {keyid: key for builder in builders for keyid, key in builder.keys.items()}
    try:
        opened = open_payload(data, "the provenance", {IN_TOTO}, keys, limit=MAX_PROVENANCE)
        predicate = read_statement(opened.payload, "the provenance", SLSA, image_sha256)
    except VerificationFailed as error:
        return [_plain(error.message)]
    said = _builder_id(predicate)
    fitting = [one for one in builders if one.builder_id == said and opened.keyid in one.keys]
    if fitting:
        # One builder may be pinned for several kinds of build; to satisfy one of them is enough.
        return min((_definition_problems(predicate, builder) for builder in fitting), key=len)
    pinned = ", ".join(sorted(builder.builder_id for builder in builders))
    return [f"the provenance names the builder {said[:120]!r}; pinned with its key is {pinned}"]


def _definition_problems(predicate: dict[str, Any], builder: Builder) -> list[str]:
    definition = predicate.get("buildDefinition")
    if not isinstance(definition, dict):
        return ["the provenance has no buildDefinition"]
    problems = []
    if definition.get("buildType") != builder.build_type:
        said = str(definition.get("buildType"))[:120]
        problems.append(f"the build type is {said!r}, not {builder.build_type!r}")
    given = definition.get("externalParameters")
    if not isinstance(given, dict):
        return [*problems, "the provenance has no externalParameters"]
    # SLSA 1.2, verifying artifacts: a verifier rejects what it does not recognise.
    problems += [
        f"external parameter {name[:60]!r} is not expected"
        for name in given
        if name not in builder.parameters
    ]
    for name, wanted in builder.parameters.items():
        if name not in given:
            problems.append(f"external parameter {name!r} is missing")
        elif wanted != ANY and _text(wanted) != _text(given[name]):
            problems.append(f"external parameter {name!r} is {str(given[name])[:120]!r}, not {wanted!r}")
    return problems


def _builder_id(predicate: dict[str, Any]) -> str:
    details = predicate.get("runDetails")
    builder = details.get("builder") if isinstance(details, dict) else None
    return str(builder.get("id", "")) if isinstance(builder, dict) else ""


def _sha256_of(subject: Any) -> str | None:
    digest = subject.get("digest") if isinstance(subject, dict) else None
    sha256 = digest.get("sha256") if isinstance(digest, dict) else None
    return sha256 if isinstance(sha256, str) else None


def _text(value: Any) -> str:
    """Python takes 1 for true; JSON does not."""
    return json.dumps(value, sort_keys=True)


def _plain(sentence: str) -> str:
    return sentence.rstrip(".")
