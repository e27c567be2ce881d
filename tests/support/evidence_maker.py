"""Evidence of an image as its builder, its PSIRT and an attacker would make it."""

import json
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner

from signing.dsse import sign_payload
from signing.keys import public_bytes
from signing.provenance import IN_TOTO, SLSA, STATEMENT
from signing.vex import CYCLONEDX, OPENVEX
from storage.canonical import sha256_hex

IMAGE = b"an image"
SHA = sha256_hex(IMAGE)
OTHER = sha256_hex(b"another image")
BUILDER, PSIRT, MALLORY = (CryptoSigner.generate_ed25519() for _ in range(3))
BUILDER_ID = "https://build.voltworks.example/runner@v1"
BUILD_TYPE = "https://build.voltworks.example/firmware/v1"
SOURCE = "git+https://git.voltworks.example/fw@refs/tags/1.1"


def sbom(sha256: str = SHA, *vulnerabilities: str, **changes: Any) -> bytes:
    component = {
        "type": "firmware",
        "name": "vw22",
        "version": "1.1",
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    parts = [{"type": "library", "name": "openssl", "version": "3.0.1", "purl": "pkg:generic/openssl@3.0.1"}]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component},
        "components": parts,
        "vulnerabilities": [{"id": name} for name in vulnerabilities],
    }
    return json.dumps({**document, **changes}).encode()


def statement(predicate_type: str, predicate: Any, sha256: str = SHA) -> bytes:
    subject = [{"name": "vw22.bin", "digest": {"sha256": sha256}}]
    document = {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    return json.dumps(document).encode()


def provenance(
    *,
    sha256: str = SHA,
    signer: CryptoSigner = BUILDER,
    builder: str = BUILDER_ID,
    build_type: str = BUILD_TYPE,
    **parameters: Any,
) -> bytes:
    definition = {"buildType": build_type, "externalParameters": {"source": SOURCE, **parameters}}
    predicate = {"buildDefinition": definition, "runDetails": {"builder": {"id": builder}}}
    return sign_payload(statement(SLSA, predicate, sha256), IN_TOTO, signer)


def openvex(name: str, *, sha256: str = SHA, signer: CryptoSigner = PSIRT, **changes: Any) -> bytes:
    said = {
        "vulnerability": {"name": name},
        "products": [{"@id": "pkg:generic/vw22@1.1", "hashes": {"sha-256": sha256}}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
    }
    document = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{**said, **changes}]}
    return sign_payload(json.dumps(document).encode(), OPENVEX, signer)


def cyclonedx_vex(name: str, *, sha256: str = SHA, signer: CryptoSigner = PSIRT, **analysis: Any) -> bytes:
    said = {"state": "not_affected", "justification": "code_not_reachable", **analysis}
    document = json.loads(sbom(sha256))
    document["vulnerabilities"] = [{"id": name, "analysis": said}]
    return sign_payload(json.dumps(document).encode(), CYCLONEDX, signer)


def write_policy(
    folder: Path, require: tuple[str, ...] = ("sbom",), exploited: Any = None, **changes: Any
) -> Path:
    """A policy that pins builder and PSIRT for Voltworks, beside its keys and its list."""
    folder.mkdir(exist_ok=True)
    (folder / "builder.pub.json").write_bytes(public_bytes(BUILDER.public_key))
    (folder / "psirt.pub.json").write_bytes(public_bytes(PSIRT.public_key))
    builder = {
        "id": BUILDER_ID,
        "keys": ["builder.pub.json"],
        "build_type": BUILD_TYPE,
        "external_parameters": {"source": SOURCE},
    }
    rule = {
        "vendor": "Voltworks",
        "model": "*",
        "require": list(require) if isinstance(require, tuple) else require,
        "builders": [builder],
        "vex_keys": ["psirt.pub.json"],
    }
    policy: dict[str, Any] = {"format": 1, "rules": [{**rule, **changes}]}
    if exploited is not None:
        (folder / "kev.json").write_text(json.dumps({"vulnerabilities": exploited}))
        policy["known_exploited"] = "kev.json"
    path = folder / "policy.json"
    path.write_text(json.dumps(policy))
    return path
