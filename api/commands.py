"""The table of commands that people may send to one charger, and the door through which they pass.

What a command needs before it is sent (nobody else at work, no session, room at its site) is the other
half of this table, ``activities.guards``: the node judges it in the step that sends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, RootModel, model_validator

from api.auth import Permission, require
from api.errors import Forbidden, KeyReused
from api.ports import ApiServices
from api.schemas import commands as shapes
from api.schemas.command_base import CommandBody
from csms.commands import TriggerKind
from storage.access import Principal
from storage.audit import AuditEntry
from storage.canonical import canonical_json, digest
from storage.codec import to_json
from storage.command import CommandRecord
from workflows.charger_command import CommandInput

_SIGNING = frozenset(
    {
        TriggerKind.SIGN_COMBINED,
        TriggerKind.SIGN_CHARGING_STATION,
        TriggerKind.SIGN_V2G,
        TriggerKind.SIGN_V2G20,
    }
)


def _of_trigger(body: Any) -> Permission:
    return Permission.CHARGER_SECURE if body.message in _SIGNING else Permission.CHARGER_QUERY


PermissionOf = Permission | Callable[[Any], Permission]


@dataclass(frozen=True, slots=True)
class Door:
    """One command: its shape, which holds its name and makes it canonical, and who may send it."""

    shape: type[CommandBody]
    permission: PermissionOf

    @property
    def name(self) -> str:
        """How people call it."""
        annotation = self.shape.model_fields["command"].annotation
        return str(annotation.__args__[0])  # type: ignore[union-attr]  # a Literal of one word

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return " ".join((self.shape.__doc__ or "").split())

    def permission_for(self, body: CommandBody) -> Permission:
        """What this very body needs."""
        return self.permission(body) if callable(self.permission) else self.permission


TABLE: tuple[Door, ...] = (
    Door(shapes.TriggerBody, _of_trigger),
    Door(shapes.GetVariablesBody, Permission.CHARGER_QUERY),
    Door(shapes.GetBaseReportBody, Permission.CHARGER_QUERY),
    Door(shapes.GetReportBody, Permission.CHARGER_QUERY),
    Door(shapes.GetMonitoringReportBody, Permission.CHARGER_QUERY),
    Door(shapes.GetLocalListVersionBody, Permission.CHARGER_QUERY),
    Door(shapes.GetInstalledCertificatesBody, Permission.CHARGER_QUERY),
    Door(shapes.ResetBody, Permission.CHARGER_OPERATE),
    Door(shapes.ChangeAvailabilityBody, Permission.CHARGER_OPERATE),
    Door(shapes.InstallCertificateBody, Permission.CHARGER_SECURE),
    Door(shapes.DeleteCertificateBody, Permission.CHARGER_SECURE),
    Door(shapes.CertificateSignedBody, Permission.CHARGER_SECURE),
    Door(shapes.SetNetworkProfileBody, Permission.CHARGER_SECURE),
    Door(shapes.SetVariablesBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.ClearCacheBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.SendLocalListBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.SetMonitoringBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.ClearMonitoringBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.SetMonitoringBaseBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.SetMonitoringLevelBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.GetLogBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.DataTransferBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.CustomerInformationBody, Permission.CHARGER_CONFIGURE),
    Door(shapes.UnpublishFirmwareBody, Permission.CHARGER_CONFIGURE),
)
BY_NAME: dict[str, Door] = {door.name: door for door in TABLE}

FIRMWARE = frozenset({"update-firmware", "publish-firmware", "signed-update-firmware"})
NO_FIRMWARE = (
    "firmware goes out through campaigns only, where every image is proven before it is sent: "
    "ampwave campaign plan"
)


# pydantic takes a union only as a written one; a test compares it with the table.
AnyBody = Annotated[
    shapes.TriggerBody
    | shapes.GetVariablesBody
    | shapes.GetBaseReportBody
    | shapes.GetReportBody
    | shapes.GetMonitoringReportBody
    | shapes.GetLocalListVersionBody
    | shapes.GetInstalledCertificatesBody
    | shapes.ResetBody
    | shapes.ChangeAvailabilityBody
    | shapes.InstallCertificateBody
    | shapes.DeleteCertificateBody
    | shapes.CertificateSignedBody
    | shapes.SetNetworkProfileBody
    | shapes.SetVariablesBody
    | shapes.ClearCacheBody
    | shapes.SendLocalListBody
    | shapes.SetMonitoringBody
    | shapes.ClearMonitoringBody
    | shapes.SetMonitoringBaseBody
    | shapes.SetMonitoringLevelBody
    | shapes.GetLogBody
    | shapes.DataTransferBody
    | shapes.CustomerInformationBody
    | shapes.UnpublishFirmwareBody,
    Field(discriminator="command"),
]


class AnyCommandBody(RootModel[AnyBody]):
    """One command of the table. Firmware is none of them: it goes out through campaigns only."""

    @model_validator(mode="before")
    @classmethod
    def _no_firmware(cls, value: Any) -> Any:
        if isinstance(value, dict) and str(value.get("command")) in FIRMWARE:
            raise ValueError(NO_FIRMWARE)
        return value


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
