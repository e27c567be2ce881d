import base64
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from activities.facts import RouteFacts
from api.codec import ENCODING, AesGcmCodec, read_key
from api.codec_words import DICTIONARIES, expand, squeeze
from storage.canonical import sha256_hex
from storage.errors import InvalidInput
from workflows.messages import ChargerUpdateInput
from workflows.options import DATA_CONVERTER

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


async def test_a_payload_written_before_there_was_a_dictionary_is_read():
    codec = AesGcmCodec(KEY)
    plain = zlib.compress(SECRET.SerializeToString())
    nonce, key_id = bytes(12), sha256_hex(KEY)[:16].encode()
    old = Payload(
        metadata={"encoding": ENCODING, "key-id": key_id},
        data=nonce + AESGCM(KEY).encrypt(nonce, plain, key_id),
    )
    assert await codec.decode([old]) == [SECRET]


@given(st.binary(max_size=3000))
def test_whatever_is_squeezed_comes_out_whole(data):
    assert expand(squeeze(data)) == data


def test_the_first_dictionary_is_what_it_was():
    """Every history that was written with it is lost with it."""
    assert 0x3E87BAD2 in DICTIONARIES


async def test_a_dictionary_of_a_later_version_is_named():
    packer = zlib.compressobj(zdict=b"words of tomorrow")
    with pytest.raises(ValueError, match="later version"):
        expand(packer.compress(b"words of tomorrow") + packer.flush())


async def test_what_a_charger_costs_is_half_of_its_json_at_most():
    route = RouteFacts("node-1", "a1b2c3d4e5f6", 17)
    order = ChargerUpdateInput("spring-release-460e8ceb07", 2, 13, "DEPOT-00123", "2.0", route)
    [payload] = await DATA_CONVERTER.encode([order])
    assert len(squeeze(payload.SerializeToString())) < len(payload.data) / 2
