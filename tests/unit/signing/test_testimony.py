import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.dsse import sign_payload
from signing.errors import VerificationFailed
from signing.keys import ensure_key_file, file_address, open_signer
from signing.notary import RecordKeys
from signing.testimony import TestimonyDesk, open_testimony
from storage.canonical import canonical_json
from storage.retirement import PASSPORT, RECEIPT, receipt_key
from tests.support.memory import MemoryBlobs

SAID = {"charger": {"charger_id": "CP-1"}, "wiped": "unwiped"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> RecordKeys:
    path = tmp_path_factory.mktemp("keys") / "record.pem"
    return RecordKeys(file_address(path), (ensure_key_file(path),))


async def signed(keys: RecordKeys, kind: str = RECEIPT) -> bytes:
    blobs = MemoryBlobs()
    sha256 = await TestimonyDesk(blobs, lambda: keys).testify(kind, SAID)
    document, _ = await blobs.get(receipt_key(sha256), limit=10**6)
    return document


@pytest.mark.parametrize(("kind", "name"), [(RECEIPT, "receipt"), (PASSPORT, "passport")])
async def test_what_is_signed_is_read_with_the_public_key_alone(
    keys: RecordKeys, kind: str, name: str
) -> None:
    told = open_testimony(await signed(keys, kind), keys.by_id())
    assert told.kind == name
    assert told.said == {"version": 1, **SAID}


async def test_no_byte_of_it_can_be_changed(keys: RecordKeys) -> None:
    document = await signed(keys)
    envelope = json.loads(document)
    said = json.loads(base64.b64decode(envelope["payload"]))
    envelope["payload"] = base64.b64encode(canonical_json({**said, "wiped": "wiped"})).decode()
    with pytest.raises(VerificationFailed):
        open_testimony(json.dumps(envelope).encode(), keys.by_id())


async def test_another_key_or_another_kind_of_document_is_refused(keys: RecordKeys, tmp_path: Path) -> None:
    other = ensure_key_file(tmp_path / "other.pem")
    with pytest.raises(VerificationFailed, match="none of these is trusted"):
        open_testimony(await signed(keys), {other.keyid: other})
    signer = open_signer(keys.address, [keys.public[0]])
    for payload, kind in (
        (canonical_json({"version": 1, **SAID}), "application/vnd.ampwave.audit-checkpoint+json"),
        (canonical_json({"version": 2, **SAID}), RECEIPT),
        (json.dumps({"version": 1, **SAID}, indent=1).encode(), RECEIPT),
        (b"[]", RECEIPT),
    ):
        with pytest.raises(VerificationFailed):
            open_testimony(sign_payload(payload, kind, signer), keys.by_id())


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_rubbish_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        open_testimony(data, {})
