import base64
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from activities.facts import RouteFacts
from api.codec import FORMER_ENCODING, AesGcmCodec, read_key
from api.codec_words import DICTIONARIES, NUMBERED, expand, squeeze
from storage.canonical import sha256_hex
from storage.errors import InvalidInput
from workflows.messages import ChargerUpdateInput
from workflows.payloads import DATA_CONVERTER

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


@pytest.mark.parametrize("words", [None, *DICTIONARIES.values()])
async def test_a_payload_of_an_older_version_is_read(words):
    plain = SECRET.SerializeToString()
    packer = zlib.compressobj() if words is None else zlib.compressobj(zdict=words)
    packed = packer.compress(plain) + packer.flush()
    nonce, key_id = bytes(12), sha256_hex(KEY)[:16].encode()
    old = Payload(
        metadata={"encoding": FORMER_ENCODING, "key-id": key_id},
        data=nonce + AESGCM(KEY).encrypt(nonce, packed, key_id),
    )
    assert await AesGcmCodec(KEY).decode([old]) == [SECRET]
    with pytest.raises(InvalidInput, match="another key"):
        await AesGcmCodec(bytes(32)).decode([old])


async def test_nothing_is_not_encrypted_for_there_is_nothing_to_hide():
    codec, [nothing] = AesGcmCodec(KEY), await DATA_CONVERTER.encode([None])
    assert await codec.encode([nothing]) == [nothing]
    assert await codec.decode([nothing]) == [nothing]


@pytest.mark.parametrize("length", [0, 3, 12, 20, -1])
async def test_what_was_cut_short_is_refused(length):
    [sealed] = await AesGcmCodec(KEY).encode([SECRET])
    sealed.data = sealed.data[:length]
    with pytest.raises(InvalidInput):
        await AesGcmCodec(KEY).decode([sealed])


async def test_what_was_changed_is_refused():
    [sealed] = await AesGcmCodec(KEY).encode([SECRET])
    sealed.data = sealed.data[:-1] + bytes((sealed.data[-1] ^ 1,))
    with pytest.raises(InvalidInput, match="changed"):
        await AesGcmCodec(KEY).decode([sealed])


async def test_a_payload_that_is_no_json_keeps_its_metadata():
    codec, odd = AesGcmCodec(KEY), Payload(metadata={"encoding": b"binary/plain", "x": b"y"}, data=b"\x00")
    assert await codec.decode(await codec.encode([odd])) == [odd]


@given(st.binary(max_size=3000))
def test_whatever_is_squeezed_comes_out_whole(data):
    assert expand(squeeze(data)) == data


def test_dictionaries_are_what_they_were():
    """Every history that was written with one is lost with it."""
    assert 0x3E87BAD2 in DICTIONARIES
    assert {number: zlib.adler32(words) for number, words in NUMBERED.items()} == {1: 0x6E6FC215}


def test_no_number_is_taken_for_a_stream_of_the_first_kind():
    assert all(0 < number < 256 and number & 0x0F != 8 for number in NUMBERED)


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=20))
def test_what_lost_its_end_is_not_taken_for_the_whole(data, cut):
    with pytest.raises((ValueError, zlib.error)):
        expand(squeeze(data)[:-cut])


async def test_a_dictionary_of_a_later_version_is_named():
    packer = zlib.compressobj(zdict=b"words of tomorrow")
    with pytest.raises(ValueError, match="later version"):
        expand(packer.compress(b"words of tomorrow") + packer.flush())
    with pytest.raises(ValueError, match="later version"):
        expand(bytes((max(NUMBERED) + 1,)) + squeeze(b"tomorrow")[1:])


async def test_what_a_charger_costs_is_half_of_its_json_at_most():
    route = RouteFacts("node-1", "a1b2c3d4e5f6", 17)
    order = ChargerUpdateInput("spring-release-460e8ceb07", 2, 13, "DEPOT-00123", "2.0", route)
    [payload] = await DATA_CONVERTER.encode([order])
    assert len(squeeze(payload.SerializeToString())) < len(payload.data) / 2
