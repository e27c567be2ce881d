"""The table of commands that people may send to one charger; ``api.command_door`` lets them through.

What a command needs before it is sent (nobody else at work, no session, room at its site) is the other
half of this table, ``activities.guards``: the node judges it in the step that sends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, RootModel, model_validator

from api.auth import Permission
from api.schemas import commands as shapes
from api.schemas.command_base import CommandBody
from csms.commands import TriggerKind

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
    Door(shapes.RotatePasswordBody, Permission.CHARGER_SECURE),
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
    | shapes.RotatePasswordBody
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
