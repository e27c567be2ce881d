"""The door for people's commands: who may, once per key, on record before it is sent."""

from dataclasses import dataclass
from datetime import timedelta

from api.auth import require
from api.commands import BY_NAME
from api.errors import Forbidden, KeyReused
from api.ports import ApiServices
from api.schemas.command_base import CommandBody
from storage.access import Principal
from storage.audit import AuditEntry
from storage.canonical import canonical_json, digest
from storage.codec import to_json
from storage.command import CommandRecord
from workflows.charger_command import CommandInput


@dataclass(frozen=True, slots=True)
class CommandDoor:
    """Lets one person's command to one charger through, once per ``key``."""

    services: ApiServices
    actor: Principal
    charger_id: str
    key: str | None

    async def send(self, body: CommandBody) -> CommandRecord:
        """Where it is after the time that the charger may take.

        Raises Forbidden, NotFound for no such charger, KeyReused for another command under the same key.
        """
        await self._must(body)
        await self.services.chargers.get(self.charger_id)
        command = body.to_command(await self.services.campaigns.next_request_id())
        record = await self._opened(body)
        if record.end is None:
            await self.services.orchestrator.send_command(
                CommandInput(
                    command_id=record.command_id,
                    charger_id=self.charger_id,
                    name=body.command,
                    kind=type(command).__name__,
                    body=to_json(command),
                    deadline_seconds=body.deadline_seconds,
                )
            )
        return await self.services.commands.get(record.command_id)

    async def _opened(self, body: CommandBody) -> CommandRecord:
        services, now = self.services, self.services.clock()
        # Keyed, for a request may hold what is easily guessed, like a customer's number.
        request = canonical_json([self.charger_id, body.model_dump(mode="json")]).decode()
        sha256 = services.hash_charger_secret(f"command {request}").hex()
        record = await services.commands.open(
            CommandRecord(
                command_id=self._id(),
                charger_id=self.charger_id,
                command=body.command,
                parameters=body.on_record(),
                request_sha256=sha256,
                actor=self.actor.name,
                requested_at=now,
                deadline_at=now + timedelta(seconds=body.deadline_seconds),
            )
        )
        if record.request_sha256 != sha256:
            raise KeyReused
        return record

    def _id(self) -> str:
        if self.key is None:
            return self.services.new_id()
        return digest(["command", self.actor.name, self.key])[:32]

    async def _must(self, body: CommandBody) -> None:
        permission = BY_NAME[body.command].permission_for(body)
        try:
            require(self.actor, permission)
        except Forbidden as error:
            detail = {"role": self.actor.role.value, "command": body.command, "why": error.message}
            subject = f"charger/{self.charger_id}"
            now = self.services.clock()
            await self.services.audit.append(
                AuditEntry(now, self.actor.name, "charger.command_refused", subject, detail)
            )
            raise
