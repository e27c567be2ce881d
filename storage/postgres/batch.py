"""One ingest batch in memory: pure bookkeeping between what was read and what will be written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, overload

import orjson

from storage.canonical import sha256_hex
from storage.codec import section_patch
from storage.events import (
    NO_SESSION_EPOCH,
    NOT_SAID,
    ChargerBooted,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    EventRecord,
    FrameRecord,
    StoredEvent,
    VariablesReported,
    wake_token,
)
from storage.findings import FirmwareVersionRead
from storage.ports import Projector
from storage.twin import SECTION_TYPES, TwinState
from storage.twin_schema import MAX_SECTION_BYTES, Refusal, refused_variables

NOT_FROM_THE_CHARGER = NOT_SAID
LONGEST_KEY = 200
"""Characters of a dedupe key that are kept as they are; an index entry must fit a third of a page."""


_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
"""Times and keys as in ``storage.canonical``."""

OUTSIDE_SCHEMA = "outside_schema"
TOO_LARGE = "too_large"
SEPARATOR = "\x1f"
"""Between the values of a packed column. No identity, number, time or JSON text contains it."""


def packed(values: Iterable[object]) -> str:
    """A column as one text parameter, None as nothing: several times cheaper here than an array.

    Only for identities, words of our own, numbers, times and JSON; free text travels as an array.
    """
    return SEPARATOR.join(["" if value is None else str(value) for value in values])


_time_text = lru_cache(maxsize=8192)(datetime.isoformat)
"""One message's time stands in its frame, its event, its twin and their history."""


def packed_times(values: Iterable[datetime | None]) -> str:
    """``packed`` for times."""
    return SEPARATOR.join(["" if value is None else _time_text(value) for value in values])


def clean(text: str) -> str:
    """PostgreSQL stores every character but NUL; a charger that sends one must not stop its neighbours."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _clean_json(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _clean_json(each) for key, each in value.items()}
    return [_clean_json(each) for each in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """JSON that ``jsonb`` accepts, which orders keys in its own way: no need to sort them here."""
    data = orjson.dumps(value, option=_OPTIONS)
    if b"\\u0000" in data:
        data = orjson.dumps(_clean_json(orjson.loads(data)))
    return data.decode()


def short_key(key: str | None) -> str | None:
    """The dedupe key, or its hash when it is too long to be indexed."""
    if key is None or len(key) <= LONGEST_KEY:
        return key and clean(key)
    return "sha256:" + sha256_hex(key.encode())


def frame_columns(frames: Sequence[FrameRecord]) -> list[Any]:
    """Frames as the first parameters of ``statements.STORE``."""
    return [
        SEPARATOR.join([frame.charger_id for frame in frames]),
        packed([frame.session_epoch for frame in frames]),
        SEPARATOR.join([frame.direction for frame in frames]),
        packed_times([frame.at for frame in frames]),
        [clean(frame.text) for frame in frames],
        [frame.answer and clean(frame.answer) for frame in frames],
    ]


def event_columns(events: Sequence[EventRecord], bodies: Sequence[str]) -> list[Any]:
    """Events as the other parameters of ``statements.STORE``."""
    return [
        SEPARATOR.join([event.charger_id for event in events]),
        SEPARATOR.join([event.kind for event in events]),
        SEPARATOR.join(bodies),
        packed_times([event.observed_at for event in events]),
        packed_times([event.received_at for event in events]),
        packed([event.session_epoch for event in events]),
        [short_key(event.dedupe_key) for event in events],
    ]


def _authenticated(session_epoch: int) -> bool:
    return session_epoch != NO_SESSION_EPOCH


def last_messages(frames: Iterable[FrameRecord], events: Iterable[EventRecord]) -> dict[str, datetime]:
    """When each charger of the batch was last heard, by its authenticated socket."""
    heard: dict[str, datetime] = {}
    for frame in frames:
        if frame.direction == "in" and _authenticated(frame.session_epoch):
            _hear(heard, frame.charger_id, frame.at)
    for event in events:
        if _authenticated(event.session_epoch) and event.kind not in NOT_FROM_THE_CHARGER:
            _hear(heard, event.charger_id, event.received_at)
    return heard


def _hear(heard: dict[str, datetime], charger_id: str, at: datetime) -> None:
    known = heard.get(charger_id)
    if known is None or at > known:
        heard[charger_id] = at


_OF_THE_NEWEST = (ConnectionOpened, ConnectionClosed, ChargerBooted, FirmwareVersionRead)


def is_fenced(record: EventRecord) -> bool:
    """Whether it counts only while its socket is the charger's newest."""
    return isinstance(record.event, _OF_THE_NEWEST)


@dataclass(slots=True)
class Known:
    """What the transaction read about one charger."""

    twin: TwinState
    session_epoch: int = 0
    node_id: str = ""
    boot_id: str = ""
    workflow_id: str | None = None
    wake_on: tuple[str, ...] = ()

    def projects(self, record: EventRecord) -> bool:
        """Whether the event may change the twin.

        A socket that was replaced says nothing of the connection, nor of what runs, any more. What else
        it brought in, such as a session that began just before, is true all the same and comes only once:
        its dedupe key keeps the charger's repeat out. The projection guards newer facts by their time.
        """
        return not is_fenced(record) or record.session_epoch >= self.session_epoch


@dataclass(slots=True)
class Batch:
    """Applies new events in order and collects the rows to write."""

    known: dict[str, Known]
    project: Projector
    history: list[tuple[Any, ...]] = field(default_factory=list)
    signals: list[tuple[Any, ...]] = field(default_factory=list)
    texts: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """Each changed section as it will be stored."""
    refused: list[tuple[Any, ...]] = field(default_factory=list)
    """What lay outside the schema, see ``statements.NOTE_ANOMALIES``."""

    def apply(self, record: EventRecord, sequence: int) -> None:
        """Project one event and note who is to be told."""
        known = self.known.get(record.charger_id)
        if known is None:
            return
        if known.projects(record):
            self._project(known, record, sequence)
            if isinstance(record.event, VariablesReported):
                self._refuse(record, sequence, OUTSIDE_SCHEMA, refused_variables(record.event.values))
        if known.workflow_id and wake_token(record) in known.wake_on:
            self.signals.append(
                (
                    record.charger_id,
                    known.workflow_id,
                    sequence,
                    known.node_id,
                    known.boot_id,
                    known.session_epoch,
                )
            )

    def _project(self, known: Known, record: EventRecord, sequence: int) -> None:
        before = known.twin
        after = self.project(before, record)
        if after is before:
            return
        after, texts, refused = changed_sections(before, after)
        if refused:
            self._refuse(record, sequence, TOO_LARGE, refused)
        if not texts:
            return
        known.twin = after = replace(after, charger_id=before.charger_id, revision=before.revision + 1)
        for name, text in texts.items():
            self.texts[record.charger_id, name] = text
            patch = section_patch(getattr(before, name), getattr(after, name))
            self.history.append(
                (
                    record.charger_id,
                    after.revision,
                    name,
                    json_text(patch),
                    f"event/{sequence}",
                    record.observed_at,
                    record.received_at,
                )
            )

    def _refuse(self, record: EventRecord, sequence: int, kind: str, refusals: Iterable[Refusal]) -> None:
        cause = f"event/{sequence}"
        self.refused.extend(
            (record.charger_id, kind, clean(each.path), clean(each.reason), cause, record.received_at)
            for each in refusals
        )

    def section_columns(self) -> list[Any]:
        """The changed sections as parameters of ``statements.APPLY``."""
        rows = [
            (charger_id, name, text, self.known[charger_id].twin.revision)
            for (charger_id, name), text in sorted(self.texts.items())
        ]
        return [packed(column) for column in columns(rows, 4)]

    def history_columns(self) -> list[Any]:
        """One row for each changed section and event."""
        *words, observed_at, received_at = columns(self.history, 7)
        return [*map(packed, words), packed_times(observed_at), packed_times(received_at)]

    def twin_columns(self, heard: dict[str, datetime]) -> list[Any]:
        """Who was heard when, and the new face of each changed twin, for ``statements.APPLY``."""
        touched = [packed(self.known), packed_times([heard.get(charger_id) for charger_id in self.known])]
        changed = {charger_id: self.known[charger_id].twin for charger_id, _ in self.texts}
        faces = [(charger_id, twin.revision, *summary(twin)) for charger_id, twin in changed.items()]
        *face, versions = columns(faces, 6)
        return [*touched, *map(packed, face), versions]


def _differs(before: object, after: object) -> bool:
    return before is not after and before != after


def changed_sections(
    before: TwinState, after: TwinState
) -> tuple[TwinState, dict[str, str | None], Sequence[Refusal]]:
    """The twin as it may become, its changed sections as they will be stored, and what was too large.

    A section over its size stays as it was, whole; the event and its frame are kept all the same.
    """
    names = [name for name in SECTION_TYPES if _differs(getattr(before, name), getattr(after, name))]
    texts = {name: _stored(getattr(after, name)) for name in names}
    large = [name for name, text in texts.items() if too_large(text)]
    for name in large:
        after = replace(after, **{name: getattr(before, name)})
        del texts[name]
    return after, texts, [Refusal(name, f"its JSON would pass {MAX_SECTION_BYTES} bytes") for name in large]


def _stored(section: object) -> str | None:
    return None if section is None else json_text(section)


def too_large(text: str | None) -> bool:
    """Whether a section's JSON passes the limit; its bytes are counted only where they might."""
    if text is None or 4 * len(text) <= MAX_SECTION_BYTES:
        return False
    return len(text.encode()) > MAX_SECTION_BYTES


def summary(twin: TwinState) -> tuple[bool, bool, bool, str | None]:
    """(online, charging, faulted, firmware version), as filters and counts see this twin."""
    operation = twin.operation
    connectors = operation.connectors.values() if operation else ()
    return (
        bool(twin.connectivity and twin.connectivity.online),
        bool(operation and operation.transactions),
        any(connector.status is ConnectorStatus.FAULTED for connector in connectors),
        clean(twin.firmware.version) if twin.firmware and twin.firmware.version else None,
    )


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into arrays; ``width`` empty ones when there are none."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


class NewEvents(Sequence[StoredEvent]):
    """The new events as they now stand in the store; built when somebody looks."""

    def __init__(
        self, numbered: Sequence[tuple[int, int]], events: Sequence[EventRecord], bodies: Sequence[str]
    ) -> None:
        self._numbered = numbered
        self._events = events
        self._bodies = bodies

    def __len__(self) -> int:
        return len(self._numbered)

    @overload
    def __getitem__(self, index: int) -> StoredEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StoredEvent]: ...
    def __getitem__(self, index: int | slice) -> StoredEvent | Sequence[StoredEvent]:
        if isinstance(index, slice):
            return NewEvents(self._numbered[index], self._events, self._bodies)
        place, sequence = self._numbered[index]
        record = self._events[place]
        return StoredEvent(
            sequence=sequence,
            charger_id=record.charger_id,
            kind=record.kind,
            body=orjson.loads(self._bodies[place]),
            observed_at=record.observed_at,
            received_at=record.received_at,
        )
