"""The verdict on a release's evidence, as a signed SLSA verification summary (S52).

It names the image, the policy and every input by hash, so that the same files give the same verdict on any
machine, without a network and without us.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from securesystemslib.signer import Key, Signer

from signing.dsse import open_payload, sign_payload
from signing.errors import VerificationFailed
from signing.ports import Judgement
from signing.provenance import IN_TOTO, STATEMENT, read_statement
from storage.canonical import canonical_json

PREDICATE = "https://slsa.dev/verification_summary/v1"
MAX_VSA = 256 * 1024
_URN = "urn:ampwave:evidence"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a summary says, without when it was said."""

    passed: bool
    policy_sha256: str
    inputs: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def summary_of(judgement: Judgement) -> Summary:
    """A judgement in the words of a summary."""
    return Summary(judgement.passed, judgement.policy_sha256, judgement.inputs, judgement.problems)


def sign_summary(
    image_sha256: str, target_path: str, judgement: Judgement, at: datetime, signer: Signer
) -> bytes:
    """The envelope. Raises KeyUnavailable."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": target_path, "digest": {"sha256": image_sha256}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verifier": {"id": f"{_URN}:verifier"},
            "timeVerified": at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "resourceUri": f"{_URN}:target:{target_path}",
            "policy": {"uri": f"{_URN}:policy", "digest": {"sha256": judgement.policy_sha256}},
            "inputAttestations": [
                {"uri": f"{_URN}:{name}", "digest": {"sha256": sha256}} for name, sha256 in judgement.inputs
            ],
            "verificationResult": "PASSED" if judgement.passed else "FAILED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"],
            "slsaVersion": "1.2",
            "problems": list(judgement.problems),
        },
    }
    return sign_payload(canonical_json(statement), IN_TOTO, signer)


def open_summary(document: bytes, image_sha256: str, keys: Mapping[str, Key]) -> Summary:
    """A summary about this image that one of ``keys`` signed. Raises VerificationFailed."""
    opened = open_payload(document, "the verdict", {IN_TOTO}, keys, limit=MAX_VSA)
    predicate = read_statement(opened.payload, "the verdict", PREDICATE, image_sha256)
    try:
        return Summary(
            passed={"PASSED": True, "FAILED": False}[predicate["verificationResult"]],
            policy_sha256=predicate["policy"]["digest"]["sha256"],
            inputs=tuple(_input(one) for one in predicate["inputAttestations"]),
            problems=tuple(map(str, predicate["problems"])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise VerificationFailed("The verdict has another form than ours.") from error


def _input(raw: dict[str, Any]) -> tuple[str, str]:
    return raw["uri"].removeprefix(f"{_URN}:"), raw["digest"]["sha256"]
