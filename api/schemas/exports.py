"""Daily files at the door."""

from datetime import datetime

from api.schemas.common import Reply


class FileReply(Reply):
    """One file of a day."""

    name: str
    rows: int
    bytes: int
    sha256: str


class ExportReply(Reply):
    """The manifest of a day."""

    day: str
    made_at: datetime
    files: tuple[FileReply, ...]
