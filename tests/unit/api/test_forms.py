"""The one file of a form comes out whole, however the form is cut; what is no form is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.forms import FormFile
from storage.errors import InvalidInput

TYPE = 'multipart/form-data; boundary="XX"'


def form(
    data: bytes, *, disposition: str = 'form-data; name="f"; filename="a.log"', before: bytes = b""
) -> bytes:
    head = f"--XX\r\nContent-Disposition: {disposition}\r\nContent-Type: text/plain\r\n\r\n".encode()
    return before + head + data + b"\r\n--XX--\r\n"


def taken(body: bytes, cuts: list[int], content_type: str = TYPE) -> tuple[bytes, str]:
    found = FormFile.of(content_type)
    assert found is not None
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    data = b"".join(piece for a, b in pairwise(places) for piece in found.feed(body[a:b]))
    found.close()
    return data, found.filename


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=20))
def test_a_file_comes_out_whole_however_the_form_is_cut(data: bytes, cuts: list[int]) -> None:
    if b"--XX" in data:
        return
    assert taken(form(data), cuts) == (data, "a.log")


def test_fields_beside_the_file_are_passed_over() -> None:
    field = b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    second = b'--XX\r\nContent-Disposition: form-data; name="g"; filename="b"\r\n\r\nmore\r\n'
    whole = form(b"log", before=field).replace(b"--XX--", second[:-2] + b"\r\n--XX--")
    assert taken(whole, [7, 50]) == (b"log", "a.log")
    assert taken(form(b"x", disposition='form-data; name="file"'), []) == (b"x", "")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (form(b"log")[:-12], "cut off"),
        (form(b"x", disposition='form-data; name="note"'), "no file"),
        (b"--XX--\r\n", "cannot be read|no file"),
        (b"nothing of the kind", "cannot be read"),
        (form(b"x", disposition="form-data; " + "y" * 9000), "cannot be read"),
    ],
)
def test_what_is_no_whole_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        taken(body, [])


def test_what_says_it_is_no_form_is_none() -> None:
    assert FormFile.of("application/octet-stream") is None
    assert FormFile.of("") is None
    with pytest.raises(InvalidInput, match="no boundary"):
        FormFile.of("multipart/form-data")
    with pytest.raises(InvalidInput, match="cannot be read"):
        FormFile.of("multipart/form-data; boundary=" + "x" * 300)
