"""Addresses are refused in words: unknown kinds, secrets inside, packages that are not there."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from signing.addresses import HOLDERS, holder_of
from signing.errors import KeyUnavailable
from signing.keys import open_signer, public_of
from signing.tokens import TokenAddress


@pytest.mark.parametrize("scheme", ["gcpkms", "azurekms", "hv"])
def test_a_service_whose_package_is_not_installed_names_the_extra(scheme: str) -> None:
    assert not HOLDERS[scheme].installed, "the development environment has no such package"
    with pytest.raises(KeyUnavailable) as refused:
        holder_of(f"{scheme}:something/1")
    assert f"pip install 'ampwave[{scheme}]'" in refused.value.diagnostics()


@pytest.mark.requirement("S64")
@pytest.mark.parametrize(
    "address",
    [
        "hsm:2?label=x&pin=s3cret",
        "hsm:2?pin-value=s3cret",
        "awskms:alias/x?token=s3cret",
        "hv:key/1?token=s3cret",
        "azurekms://me:s3cret@vault.test/keys/x/1",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(KeyUnavailable, match="more than where the key is") as refused:
        holder_of(address)
    assert "s3cret" not in refused.value.diagnostics()


@pytest.mark.parametrize("address", ["", "x", "snapshot.pem", "gnupg:ABC", ":", "awskms:", "file2:"])
def test_what_is_no_address_of_ours_is_refused(address: str) -> None:
    with pytest.raises(KeyUnavailable):
        holder_of(address)


@given(st.text(max_size=40))
def test_any_text_for_a_token_is_an_address_or_refused(text: str) -> None:
    try:
        where = TokenAddress.parse(f"hsm:{text}")
    except KeyUnavailable:
        return
    assert TokenAddress.parse(str(where)) == where


@given(st.integers(0, 2**31 - 1), st.text(min_size=1, max_size=20))
def test_every_id_and_label_survives_its_address(key_id: int, label: str) -> None:
    where = TokenAddress(key_id, label)
    assert TokenAddress.parse(str(where)) == where
    assert int.from_bytes(where.id_bytes, "big") == key_id


@dataclass
class Kms:
    """The two calls of AWS KMS that matter here, over HTTP as boto3 speaks it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({"action": action, **given})
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if action == "GetPublicKey":
            return {"PublicKey": base64.b64encode(public).decode(), "SigningAlgorithms": ["ECDSA_SHA_256"]}
        digest = base64.b64decode(given["Message"])
        made = self.key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return {"Signature": base64.b64encode(made).decode()}


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    service = Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(service.answer(self.headers["X-Amz-Target"].partition(".")[2], given)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": f"http://127.0.0.1:{server.server_port}",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    yield service
    server.shutdown()
    server.server_close()


@pytest.mark.requirement("S39")
def test_a_key_service_sees_digests_only(kms: Kms) -> None:
    key = public_of("awskms:alias/ampwave-snapshot")
    payload = b"metadata " * 1000
    signature = open_signer("awskms:alias/ampwave-snapshot", [key]).sign(payload)
    key.verify_signature(signature, payload)
    sent = kms.asked[-1]
    assert (sent["action"], sent["KeyId"], sent["MessageType"]) == (
        "Sign",
        "alias/ampwave-snapshot",
        "DIGEST",
    )
    assert base64.b64decode(sent["Message"]) == hashlib.sha256(payload).digest()
