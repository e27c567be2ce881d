import base64

import pytest
from temporalio.api.common.v1 import Payload

from api.codec import AesGcmCodec, read_key
from storage.errors import InvalidInput

KEY = bytes(range(32))
SECRET = Payload(metadata={"encoding": b"json/plain"}, data=b'"the location of an image"')


async def test_payload_is_unreadable_at_rest_and_whole_again():
    codec = AesGcmCodec(KEY)
    [sealed] = await codec.encode([SECRET])
    assert b"location" not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [SECRET]


async def test_same_payload_never_encrypts_to_the_same_bytes():
    codec = AesGcmCodec(KEY)
    [first], [second] = await codec.encode([SECRET]), await codec.encode([SECRET])
    assert first.data != second.data


async def test_another_key_is_refused_by_name():
    [sealed] = await AesGcmCodec(KEY).encode([SECRET])
    with pytest.raises(InvalidInput, match="another key"):
        await AesGcmCodec(bytes(32)).decode([sealed])


async def test_plain_payload_of_an_older_history_passes_through():
    assert await AesGcmCodec(KEY).decode([SECRET]) == [SECRET]


@pytest.mark.parametrize(
    ("content", "words"),
    [("not base64 !", "not base64"), (base64.b64encode(b"short").decode(), "5 bytes, not 32")],
)
def test_bad_key_file_is_named(tmp_path, content, words):
    path = tmp_path / "payload.key"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=words) as caught:
        read_key(path)
    assert str(path) in caught.value.message


def test_missing_key_file_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        read_key(tmp_path / "nowhere.key")
