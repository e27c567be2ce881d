"""Shared shapes at the door: strict in, plain out. Inside, everything is a frozen noun."""

from datetime import datetime
from re import compile as compile_pattern
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema


def _number(value: Any) -> Any:
    # Lax mode would take "5" and True for numbers; strict mode would refuse 1.0, which is a JSON integer.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns ValueError into a problem
    return value + 0  # PostgreSQL has no -0.0, and a plan must come back from it with the same digest


_DATED = compile_pattern(r"\d{4}-\d\d-\d\d[Tt ]")


def _text_time(value: Any) -> Any:
    # pydantic would take "0.5" for a number of seconds.
    if not isinstance(value, datetime) and not (isinstance(value, str) and _DATED.match(value)):
        raise ValueError("must be a time in RFC 3339, such as 2026-12-20T18:00:00Z")  # as above
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Flag = StrictBool
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_text_time),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$"}
    ),
]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9\-]{0,62}[a-z0-9])?$", examples=["acme"])]
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Sentence = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
ChargerId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9*_=:+|@.\-]{1,48}$", examples=["CP-0001"], description="OCPP identity.")
]
QueryText = Annotated[
    str,
    Field(
        description="In the query language over twins, docs/QUERY.md.",
        examples=["vendor = Acme and firmware.version < 2.10 and not charging"],
    ),
]
Sha256 = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]


class Body(BaseModel):
    """A request body: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class Reply(BaseModel):
    """A response body, read from nouns."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


Item = TypeVar("Item")


class PageReply(Reply, Generic[Item]):
    """One page of a listing."""

    items: tuple[Item, ...]
    next_cursor: str | None = Field(
        default=None, description="Pass it on as `cursor`; null on the last page."
    )


class ProblemReply(Reply):
    """A problem (RFC 9457)."""

    type: str = Field(description="A page of this api that explains it.", examples=["/problems/not-found"])
    title: str = Field(examples=["There is no such thing"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no campaign 'spring-1a2b'."])
    problems: tuple[str, ...] = Field(
        default=(), description="Every rule that was broken, not only the first."
    )
    position: dict[str, int | str] | None = Field(
        default=None,
        description="Of a query: where it goes wrong. `line` and `column` count from 1, `offset` and "
        "`length` are in characters, `source` is the line itself.",
    )
    near: tuple[str, ...] = Field(default=(), description="Of a query: what may have been meant.")
