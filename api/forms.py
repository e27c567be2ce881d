"""The one file of a multipart form, piece by piece as it comes: nothing of it is kept here or on disk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from storage.errors import InvalidInput

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD = b"file"
"""A part of this name is a file even where it names none."""


class FormFile:
    """Takes a form's bytes in, gives its first file's bytes out; ``filename`` is what the form calls it."""

    OVERHEAD: ClassVar[int] = 64 * 1024
    """By this much a form may be longer than its file."""

    def __init__(self, boundary: bytes) -> None:
        self.filename = ""
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._is_file = False
        self._found = False
        self._whole = False
        self._pieces: list[bytes] = []
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._take(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._take(1, data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._choose,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    @classmethod
    def of(cls, content_type: str) -> Self | None:
        """For a body of this content type, or None: it is no form. Raises InvalidInput without a boundary."""
        kind, options = parse_options_header(content_type)
        if kind.lower() != b"multipart/form-data":
            return None
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidInput("The form names no boundary.")
        try:
            return cls(boundary)
        except FormParserError as error:
            raise InvalidInput(f"The form cannot be read: {error}.") from None

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The bytes of the file in these bytes of the form. Raises InvalidInput for what is no form."""
        self._pieces = []
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidInput(f"The form cannot be read: {error}.") from None
        return self._pieces

    def close(self) -> None:
        """After the last byte: raise InvalidInput unless a whole file was in it."""
        if not self._whole:
            raise InvalidInput("The form was cut off." if self._found else "There is no file in the form.")

    # What the parser calls.

    def _begin(self) -> None:
        self._disposition, self._is_file = b"", False

    def _take(self, place: int, data: bytes) -> None:
        self._header[place].extend(data)  # The parser bounds it.

    def _header_ends(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        name.clear()
        value.clear()

    def _choose(self) -> None:
        _, options = parse_options_header(self._disposition)
        names_one = b"filename" in options or options.get(b"name") == _FIELD
        if names_one and not self._found:
            self._is_file = self._found = True
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pieces.append(data[start:end])

    def _end(self) -> None:
        self._whole = self._whole or self._is_file
