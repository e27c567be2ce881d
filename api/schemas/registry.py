"""Who is called what, at the door: names, identities, what is accepted, notes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from api.schemas.common import Body, Instant, Label, Reply, Sentence
from storage.note import NoteKind

_Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.\-]{0,30}[a-z0-9])?$", examples=["erp"])]
_Value = Annotated[
    str, Field(max_length=200, pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$")
]
_Subject = Annotated[
    str,
    Field(
        max_length=80,
        description="`site/ID`, `charger/ID`, `evse/ID/EVSE` or `connector/ID/EVSE/CONNECTOR`.",
        examples=["charger/CP-0001", "evse/CP-0001/1"],
    ),
]
_Text = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$")]


class IdentifierBody(Body):
    """A name that others use for something of ours."""

    namespace: _Namespace
    value: _Value
    subject: _Subject


class IdentifierReply(Reply):
    """A name and whose it is."""

    namespace: str
    value: str
    subject: str
    actor: str
    since: datetime


class IdentityBody(Body):
    """What is to be registered instead; what is left out stays, null takes away."""

    vendor: Label = "-"
    model: Label = "-"
    serial_number: Label | None = None
    hardware_revision: Label | None = None
    reason: Sentence


class IdentityReply(Reply):
    """What a charger is registered as now."""

    charger_id: str
    vendor: str
    model: str
    serial_number: str | None
    hardware_revision: str | None
    identity_version: int = Field(description="For If-Match of the next change.")


class AcceptBody(Body):
    """Paths whose reported values a person holds to be right."""

    paths: tuple[
        Literal[
            "firmware.version",
            "security.profile",
            "security.tampered",
            "security.certificate_serial",
            "security.roots",
        ],
        ...,
    ] = Field(min_length=1, max_length=5)
    reason: Sentence


class AcceptReply(Reply):
    """What was in doubt and is no more."""

    charger_id: str
    accepted: tuple[str, ...]


class NoteBody(Body):
    """A note for a charger's timeline, from a person or another system's webhook."""

    text: _Text
    note: NoteKind = NoteKind.NOTE
    reference: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        default="", description="Number of the ticket or RMA in the system that has it.", examples=["T-4711"]
    )
    happened_at: Instant | None = Field(default=None, description="When it happened; left out: now.")


class ErasureBody(Body):
    """A person who is to be forgotten."""

    id_token: SecretStr = Field(min_length=1, max_length=255, description="The id token (card) as it is.")
    reason: Sentence


class ErasureReply(Reply):
    """From how much the person was taken out."""

    sessions: int
    events: int


class NoteReply(Reply):
    """Whether it was put there by this request, or was there already."""

    charger_id: str
    added: bool
