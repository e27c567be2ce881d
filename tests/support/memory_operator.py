"""In-memory doubles of the stores of people's commands and of logs: for unit tests only."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime

from storage.command import CommandEnd, CommandRecord
from storage.errors import NotFound
from storage.log import LOG_OPEN, LogRequest, LogState, LogUpload, UploadTicket
from storage.operator_ports import Leftover


class MemoryCommands:
    def __init__(self) -> None:
        self.rows: dict[str, CommandRecord] = {}

    async def open(self, record: CommandRecord) -> CommandRecord:
        return self.rows.setdefault(record.command_id, record)

    async def get(self, command_id: str) -> CommandRecord:
        if command_id not in self.rows:
            raise NotFound("command", command_id)
        return self.rows[command_id]

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[CommandRecord]:
        mine = [row for row in self.rows.values() if row.charger_id == charger_id]
        return sorted(mine, key=lambda row: row.requested_at, reverse=True)[:limit]

    async def close(self, command_id: str, end: CommandEnd, at: datetime) -> bool:
        if self.rows[command_id].finished_at is not None:
            return False
        self.rows[command_id] = replace(self.rows[command_id], end=end, finished_at=at)
        return True


class MemoryRequestKeys:
    def __init__(self) -> None:
        self.bound: dict[str, str] = {}

    async def claim(self, act_id: str, request_sha256: str, at: datetime) -> str:
        return self.bound.setdefault(act_id, request_sha256)


class MemoryLogs:
    def __init__(self) -> None:
        self.rows: dict[int, LogRequest] = {}
        self.tickets: dict[str, UploadTicket] = {}

    async def open(self, request: LogRequest) -> LogRequest:
        for row in self.rows.values():
            if request.request_key is not None and row.request_key == request.request_key:
                return row
        return self.rows.setdefault(request.request_id, request)

    async def get(self, request_id: int) -> LogRequest:
        if request_id not in self.rows:
            raise NotFound("log", str(request_id))
        return self.rows[request_id]

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[LogRequest]:
        mine = [row for row in self.rows.values() if row.charger_id == charger_id]
        return sorted(mine, key=lambda row: row.request_id, reverse=True)[:limit]

    async def set_state(self, request_id: int, state: LogState, reason: str, at: datetime | None) -> bool:
        row = self.rows[request_id]
        if row.state not in LOG_OPEN:
            return False
        self.rows[request_id] = replace(row, state=state, reason=reason, finished_at=at)
        return True

    async def add_ticket(self, ticket: UploadTicket) -> None:
        self.tickets[ticket.ticket_sha256] = ticket

    async def ticket(self, ticket_sha256: str) -> UploadTicket | None:
        return self.tickets.get(ticket_sha256)

    async def revoke(self, request_id: int) -> int:
        good = [one for one in self.tickets.values() if one.request_id == request_id and not one.revoked]
        for ticket in good:
            self.tickets[ticket.ticket_sha256] = replace(ticket, revoked=True)
        return len(good)

    async def add_upload(self, upload: LogUpload, ticket_sha256: str) -> bool:
        row = self.rows[upload.request_id]
        if row.upload is not None or self.tickets[ticket_sha256].revoked:
            return False
        self.rows[upload.request_id] = replace(row, upload=upload)
        return True

    async def outlived(self, before: datetime, *, limit: int) -> Sequence[LogRequest]:
        old = [
            row
            for row in self.rows.values()
            if row.upload and row.upload.removed_at is None and row.upload.received_at < before
        ]
        return old[:limit]

    async def set_removed(self, request_id: int, at: datetime) -> bool:
        row = self.rows[request_id]
        if row.upload is None or row.upload.removed_at is not None:
            return False
        self.rows[request_id] = replace(row, upload=replace(row.upload, removed_at=at))
        return True

    async def kept_objects(self, keys: Sequence[str]) -> frozenset[str]:
        uploads = [row.upload for row in self.rows.values() if row.upload]
        return frozenset(one.object_key for one in uploads if one.removed_at is None) & frozenset(keys)


class MemoryLeftovers:
    """Keys and their times; ``began``: uploads in parts that nobody finished."""

    def __init__(self) -> None:
        self.keys: dict[str, datetime] = {}
        self.began: dict[str, datetime] = {}

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Leftover]]:
        for key in [key for key in self.keys if key.startswith(prefix)]:
            yield [Leftover(key, self.keys[key])]

    async def purge(self, key: str) -> int:
        return int(self.keys.pop(key, None) is not None)

    async def abort_uploads(self, prefix: str, before: datetime) -> int:
        old = [key for key, at in self.began.items() if key.startswith(prefix) and at < before]
        for key in old:
            del self.began[key]
        return len(old)
