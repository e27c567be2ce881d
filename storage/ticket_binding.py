"""A download ticket that says itself for whom and what it is, so that its row cannot be turned (S43).

The address a charger gets holds 16 secret bytes and their HMAC over charger and image. The row in the
database holds neither: who edits it can withdraw a ticket, but not make the address of one image hand out
another. Pure.
"""

import base64
import hashlib
import hmac
import re

from storage.charger import DownloadTicket

SECRET_BYTES = 16
_TAG_BYTES = 16
_MARK = "b"
TICKET_LETTERS = 44
_SHAPE = re.compile(r"b[A-Za-z0-9_\-]{43}", re.ASCII)


def bound_ticket(secret: bytes, charger_id: str, artifact_id: str) -> str:
    """The text of a ticket: 44 characters of URL-safe base64."""
    raw = secret + _tag(secret, charger_id, artifact_id)
    return _MARK + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_of(text: str, ticket: DownloadTicket) -> bool:
    """Whether a ticket's text was made for the charger and the image that its row names now.

    Text of any other form is of nothing: whoever writes rows could make one of those himself.
    """
    if not _SHAPE.fullmatch(text):
        return False
    raw = base64.urlsafe_b64decode(text[len(_MARK) :] + "=")
    wanted = _tag(raw[:SECRET_BYTES], ticket.charger_id, ticket.artifact_sha256)
    return hmac.compare_digest(raw[SECRET_BYTES:], wanted)


def _tag(secret: bytes, charger_id: str, artifact_id: str) -> bytes:
    return hmac.digest(secret, f"{charger_id}\n{artifact_id}".encode(), hashlib.sha256)[:_TAG_BYTES]
