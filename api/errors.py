# long-file: one table from errors to problems, with every problem in it
"""What can go wrong at the doors, and one table from every error to its problem (RFC 9457).

DoorError
├── Unauthenticated      no bearer token, or not one of ours
├── TokenRefused         a genuine token that expired or was revoked
├── Forbidden            this role may not do that
├── FormRefused          a dashboard form without its proof of origin
├── TooLarge             the body is over its limit
├── KeyReused            an Idempotency-Key came back with another body
├── RangeRefused         a byte range that the object does not have
├── TooManyUploads       no more logs taken in at once in this process
├── TooManyDownloads     no more downloads at once in this process
├── TooManyImports       no more images fetched from vendors at once in this process
├── TooManyRebuilds      no more twins made anew at once in this process
├── TicketGone           a download or upload ticket that expired or was revoked
├── TicketElsewhere      a download ticket that is used at another place
├── NoPrecondition       a write that must say which version it was decided on
└── TooManyStreams       no more event streams in this process
"""

from collections.abc import Sequence
from dataclasses import dataclass

from api.charger_errors import (
    ChargerBusy,
    ChargerFailed,
    ChargerHeld,
    ChargerIncapable,
    ChargerOffline,
    ChargerSilent,
    CommandRefused,
)
from signing.errors import (
    KeyUnavailable,
    RepositoryUnreachable,
    StaleStage,
    VerificationFailed,
)
from storage.access import Principal, Token
from storage.desired import SectionTooLarge
from storage.errors import (
    AmpwaveError,
    Conflict,
    EngineUnavailable,
    InvalidInput,
    InvalidName,
    NotFound,
    StaleVersion,
)
from storage.query.errors import QueryError, QueryTooBroad


class DoorError(AmpwaveError):
    """The root of what can go wrong at the doors."""


class Unauthenticated(DoorError):
    """No bearer token, or not one of ours."""

    def __init__(self) -> None:
        super().__init__(
            "This needs a valid token.",
            hint="Send `Authorization: Bearer amp_...`; an administrator makes one: ampwave token create.",
        )


class TokenRefused(DoorError):
    """A genuine token that expired or was revoked."""

    def __init__(self, token: Token, why: str) -> None:
        super().__init__(
            f"Token {token.token_id} of {token.principal.name} {why}.",
            hint="Ask an administrator for a new one: ampwave token create.",
        )
        self.token = token


class Forbidden(DoorError):
    """This role may not do that."""

    def __init__(self, principal: Principal, permission: str, able: Sequence[str]) -> None:
        super().__init__(
            f"{principal.name} has the role {principal.role.value}, which may not do {permission}.",
            hint=f"Ask somebody with the role {' or '.join(able)}.",
        )
        self.principal = principal
        self.permission = permission


class FormRefused(DoorError):
    """A dashboard form without its proof of origin."""


class TooLarge(DoorError):
    """The body is over its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request body is over its limit of {limit} bytes.", hint="Send less at once.")


class ImageTooLarge(TooLarge):
    """A firmware image is longer than what is taken in, however it comes."""

    def __init__(self, limit: int) -> None:
        text = f"The image is longer than the {limit} bytes that are taken in."
        DoorError.__init__(self, text, hint="An operator may raise AMPWAVE_UPLOAD_BYTES.")


class KeyReused(DoorError):
    """An Idempotency-Key came back with another body."""

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for something else before; nothing was done now.",
            hint="Use a new key for a new request, and the same body when you repeat one.",
        )


class RangeRefused(DoorError):
    """A byte range that the object does not have."""

    def __init__(self, length: int) -> None:
        super().__init__(f"The range is outside the object's {length} bytes.")
        self.length = length


class TicketGone(DoorError):
    """A download or upload ticket that is not valid now; says neither whose nor for what."""

    def __init__(self, why: str) -> None:
        super().__init__(f"This ticket {why}.", hint="The next command brings the charger a new one.")


class TicketElsewhere(DoorError):
    """A download ticket that somebody at another address is using; says neither whose nor for what."""

    def __init__(self, why: str = "is being used from another address") -> None:
        super().__init__(f"This ticket {why}.", hint="A ticket is for one charger at one place.")


class TooManyDownloads(DoorError):
    """No more downloads at once in this process."""

    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} downloads run here already.", hint="Try again in a moment.")


class TooManyImports(DoorError):
    """No more images are fetched from vendors at once in this process."""

    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} images are being fetched here already.", hint="Try again in a moment.")


class TooManyRebuilds(DoorError):
    """No more twins are made anew from their events at once in this process."""

    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} comparisons of twins with their events run here already.", hint="Try again in a moment."
        )


class NoPrecondition(DoorError):
    """A write that must say which version it was decided on."""

    def __init__(self) -> None:
        super().__init__(
            "This write needs If-Match with the ETag that you read.",
            hint='GET the same address first; for the first write of all that is "0".',
        )


class TooManyStreams(DoorError):
    """No more event streams in this process."""

    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} event streams are open here already.", hint="Try again in a moment.")


class TooManyUploads(DoorError):
    """No more logs are taken in at once in this process."""

    retryable = True

    def __init__(self, limit: int, *, of_one: bool = False) -> None:
        what = f"{limit} uploads of this log" if of_one else f"{limit} logs"
        super().__init__(f"{what} are being taken in here already.", hint="Try again in a moment.")


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its slug makes the ``type`` URI, and its page explains it."""

    slug: str
    status: int
    title: str
    meaning: str
    next_step: str

    @property
    def uri(self) -> str:
        """The ``type`` member, relative to this api."""
        return f"/problems/{self.slug}"


UNAUTHENTICATED = Problem(
    "unauthenticated",
    401,
    "A valid token is needed",
    "The request carried no bearer token, or one that is unknown, expired or revoked.",
    "Send `Authorization: Bearer amp_...`. An administrator makes tokens with `ampwave token create`.",
)
FORBIDDEN = Problem(
    "forbidden",
    403,
    "Your role may not do this",
    "The token is valid, but its role does not hold the permission that this route needs.",
    "The detail names the roles that do. Ask one of those people, or an administrator for another token.",
)
FORM_REFUSED = Problem(
    "form-refused",
    403,
    "This form was not sent by our page",
    "A form of the dashboard came without the proof that our own page of this session made it.",
    "Open the page again and repeat what you did there.",
)
INVALID_INPUT = Problem(
    "invalid-input",
    422,
    "The input breaks rules",
    "Something in the request is not allowed. `problems` lists everything that was found.",
    "Mend every listed problem and send the request again. Nothing was stored.",
)
QUERY = Problem(
    "query-invalid",
    422,
    "The query cannot be understood",
    "A query over the fleet is not in the query language, names a field that no charger has, or compares it "
    "with a value that does not fit. `position` says where, `near` what may have been meant.",
    "Mend what stands at that place. docs/QUERY.md has the language with all fields and examples.",
)
TOO_BROAD = Problem(
    "query-too-broad",
    422,
    "The query takes too long",
    "The database did not answer the query in its time, and stopped it. Nothing was changed.",
    "Narrow it by vendor, model or site, which have indexes.",
)
NOT_FOUND = Problem(
    "not-found",
    404,
    "There is no such thing",
    "No artifact, campaign, charger, ticket or page has this name.",
    "Check the spelling, or list what there is.",
)
CONFLICT = Problem(
    "conflict",
    409,
    "The present state forbids this",
    "It is there already, or its phase does not allow this act.",
    "Read it again; the detail says what stands in the way.",
)
STALE = Problem(
    "stale-version",
    409,
    "Somebody else wrote first",
    "What you decided on has changed since you read it. The status is 412 when you sent If-Match, else 409.",
    "Read it again, then decide again.",
)
KEY_REUSED = Problem(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "The same key came with a different body. A repeat must be the same request.",
    "Use a new key for a new request.",
)
REFUSED = Problem(
    "verification-failed",
    422,
    "A signature does not hold",
    "Bytes, metadata or a signature failed their check. Nothing is signed, published or sent.",
    "The detail says which check failed. Sign the bytes that are staged now, with a key that counts.",
)
PRECONDITION = Problem(
    "precondition-required",
    428,
    "The write must name the version it was decided on",
    "Two people who write at once must not undo each other unseen, so If-Match is required here.",
    "GET the same address, and send its ETag as If-Match.",
)
TOO_LARGE = Problem(
    "too-large",
    413,
    "The body is too large",
    "The request body is over the limit of this route.",
    "Send less at once, or ask the operator to raise the limit.",
)
RANGE = Problem(
    "range-not-satisfiable",
    416,
    "The object has no such bytes",
    "The Range header asks for bytes beyond the object's end.",
    "Content-Range names the length. Ask for bytes inside it.",
)
GONE = Problem(
    "ticket-gone",
    410,
    "This ticket is not valid now",
    "It expired, was used or revoked when its work ended, or its window has not opened yet.",
    "Chargers get a new ticket with their next command; nobody needs to do anything.",
)
UNAVAILABLE = Problem(
    "engine-unavailable",
    503,
    "An engine does not answer",
    "PostgreSQL, Temporal, the object store or the signer did not answer in time. Nothing was lost.",
    "Try again after the seconds in Retry-After; /readyz names the engine.",
)
BUSY = Problem(
    "too-many-streams",
    503,
    "Too many event streams",
    "This process serves as many event streams as it is allowed to.",
    "Try again after the seconds in Retry-After.",
)
UPLOADS_BUSY = Problem(
    "too-many-uploads",
    503,
    "Too many logs at once",
    "This process takes in as many logs of chargers, or uploads of this one log, as it is allowed to.",
    "Try again after the seconds in Retry-After; chargers do so by themselves.",
)
DOWNLOADS_BUSY = Problem(
    "too-many-downloads",
    503,
    "Too many downloads at once",
    "This process serves as many downloads of firmware as it is allowed to.",
    "Try again after the seconds in Retry-After; chargers do so by themselves.",
)
IMPORTS_BUSY = Problem(
    "too-many-imports",
    503,
    "Too many imports at once",
    "This process fetches as many images from vendors as it is allowed to.",
    "Try again after the seconds in Retry-After.",
)
REBUILDS_BUSY = Problem(
    "too-many-rebuilds",
    503,
    "Too many twins made anew at once",
    "Making twins anew reads all their events, so this process does it for a few callers at once only.",
    "Try again after the seconds in Retry-After. To see all twins, page through GET /api/v1/rebuilds.",
)
ELSEWHERE = Problem(
    "ticket-elsewhere",
    409,
    "This ticket is used at another place",
    "A download ticket is for one charger. Somebody else at another address is fetching with it, or it came "
    "from another address than its charger's. It is on record as a security event.",
    "A charger whose address changed tries again after a few seconds. Otherwise look who has its ticket.",
)
MALFORMED = Problem(
    "bad-request",
    400,
    "The request cannot be read",
    "It is not valid HTTP, JSON or multipart, or lacks a part that this route needs.",
    "Compare it with the OpenAPI description at /docs.",
)
METHOD = Problem(
    "method-not-allowed",
    405,
    "That method is not offered here",
    "The path exists, the method does not.",
    "The Allow header lists the methods.",
)
INTERNAL = Problem(
    "internal",
    500,
    "A fault on our side",
    "Something we did not foresee. It is in the log under the request id.",
    "Tell the operator the request id in the X-Request-ID header.",
)

CHARGER_OFFLINE = Problem(
    "charger-offline",
    409,
    "The charger is not connected",
    "No node holds a socket of this charger, so nothing was sent to it.",
    "Send the command again once it is back; its page shows when it was last heard.",
)
CHARGER_BUSY = Problem(
    "charger-busy",
    409,
    "A session is open, or one may be",
    "The command could cut a charging session, so it was not sent.",
    "Send it again when the charger is idle. One that never told its connectors: trigger StatusNotification.",
)
CHARGER_HELD = Problem(
    "charger-held",
    409,
    "Other work has the charger, or its site has no room",
    "Maintenance holds it, or as many chargers of its site are away as may be. Nothing was sent.",
    "The detail says who holds it. Send the command again when that is over.",
)
COMMAND_REFUSED = Problem(
    "command-refused",
    409,
    "A rule forbids this command",
    "The command could lose the charger or does not fit its version of OCPP. Nothing was sent.",
    "The detail says which rule; change the command.",
)
CHARGER_FAILED = Problem(
    "charger-failed",
    409,
    "The charger answered with an error",
    "The command reached the charger, which answered with a CALLERROR.",
    "The detail has its code and explanation.",
)
CHARGER_SILENT = Problem(
    "charger-silent",
    409,
    "The charger did not answer in time",
    "The command may have reached the charger and may have been carried out.",
    "Look at the charger's timeline first: a late answer is recorded there. A repeat needs a new key.",
)
CHARGER_INCAPABLE = Problem(
    "charger-incapable",
    409,
    "The charger has no such command",
    "Its version of OCPP has no words for the command, or it said that it does not implement it.",
    "Nothing to do, but to look whether newer firmware can.",
)

TABLE: dict[type[Exception], Problem] = {
    Unauthenticated: UNAUTHENTICATED,
    TokenRefused: UNAUTHENTICATED,
    Forbidden: FORBIDDEN,
    FormRefused: FORM_REFUSED,
    TooLarge: TOO_LARGE,
    ImageTooLarge: TOO_LARGE,
    SectionTooLarge: TOO_LARGE,
    NoPrecondition: PRECONDITION,
    KeyReused: KEY_REUSED,
    RangeRefused: RANGE,
    TicketGone: GONE,
    TooManyStreams: BUSY,
    TooManyUploads: UPLOADS_BUSY,
    TooManyDownloads: DOWNLOADS_BUSY,
    TooManyImports: IMPORTS_BUSY,
    TooManyRebuilds: REBUILDS_BUSY,
    TicketElsewhere: ELSEWHERE,
    ChargerOffline: CHARGER_OFFLINE,
    ChargerBusy: CHARGER_BUSY,
    ChargerHeld: CHARGER_HELD,
    CommandRefused: COMMAND_REFUSED,
    ChargerFailed: CHARGER_FAILED,
    ChargerSilent: CHARGER_SILENT,
    ChargerIncapable: CHARGER_INCAPABLE,
    InvalidName: INVALID_INPUT,
    QueryError: QUERY,
    QueryTooBroad: TOO_BROAD,
    InvalidInput: INVALID_INPUT,
    NotFound: NOT_FOUND,
    StaleVersion: STALE,
    Conflict: CONFLICT,
    EngineUnavailable: UNAVAILABLE,
    VerificationFailed: REFUSED,
    RepositoryUnreachable: UNAVAILABLE,
    StaleStage: CONFLICT,
    KeyUnavailable: UNAVAILABLE,
}
"""The one table from errors to statuses; the nearest class in an error's ancestry decides."""

BY_STATUS: dict[int, Problem] = {
    400: MALFORMED,
    401: UNAUTHENTICATED,
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: METHOD,
    413: TOO_LARGE,
    422: INVALID_INPUT,
    503: UNAVAILABLE,
}
"""For errors that the framework itself raises."""

PROBLEMS: dict[str, Problem] = {
    problem.slug: problem for problem in [*TABLE.values(), *BY_STATUS.values(), INTERNAL]
}
"""Every problem there is, by slug; each has a page at its URI."""


def problem_of(error: Exception) -> Problem:
    """The problem that an error is."""
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    return UNAVAILABLE if getattr(error, "retryable", False) else INTERNAL
