"""What people may send to one charger: a shape each, and the canonical command that it becomes.

``api.commands`` is the table of them. Firmware is missing on purpose: it goes out through campaigns only.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from api.schemas.command_base import Address, CommandBody, Evse, Hex, Names, Pem, Variable, no_secret
from api.schemas.common import Flag, Instant, Label, Whole
from csms.access import (
    ClearCache,
    CustomerInformation,
    GetLocalListVersion,
    IdToken,
    NetworkProfile,
    RotatePassword,
    SendLocalList,
    SetNetworkProfile,
)
from csms.commands import (
    CertificateSigned,
    ChangeAvailability,
    Command,
    DataTransfer,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    GetVariables,
    InstallCertificate,
    LogKind,
    Reset,
    ResetKind,
    SetVariables,
    TriggerKind,
    TriggerMessage,
    UnpublishFirmware,
    VariableAttribute,
    VariableValue,
)
from csms.monitoring import (
    ClearVariableMonitoring,
    ComponentCriterion,
    GetBaseReport,
    GetMonitoringReport,
    GetReport,
    MonitoringBase,
    MonitoringCriterion,
    MonitorKind,
    MonitorSetting,
    ReportBase,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetVariableMonitoring,
)
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm


class TriggerBody(CommandBody):
    """Have a message sent now."""

    command: Literal["trigger"]
    message: TriggerKind
    evse_id: Evse = None
    connector_id: Evse = None
    custom: Label | None = Field(default=None, description="Name of a CustomTrigger.")

    def to_command(self, request_id: int) -> Command:
        return TriggerMessage(self.message, self.evse_id, self.connector_id, self.custom)


class GetVariablesBody(CommandBody):
    """Read variables (`Component.Variable`) or 1.6 configuration keys; none: all of them."""

    command: Literal["get-variables"]
    names: Names = ()
    attribute: VariableAttribute = VariableAttribute.ACTUAL

    def to_command(self, request_id: int) -> Command:
        return GetVariables(self.names, self.attribute)


class SetVariablesBody(CommandBody):
    """Write variables or 1.6 configuration keys. Not atomic: the answer has a status for each."""

    command: Literal["set-variables"]
    values: Annotated[dict[Variable, Annotated[str, Field(max_length=2500)]], AfterValidator(no_secret)] = (
        Field(min_length=1, max_length=50)
    )
    attribute: VariableAttribute = VariableAttribute.ACTUAL

    def to_command(self, request_id: int) -> Command:
        return SetVariables(
            tuple(VariableValue(name, value, self.attribute) for name, value in self.values.items())
        )


class GetBaseReportBody(CommandBody):
    """Have the whole device model reported (2.x); it arrives as events."""

    command: Literal["get-base-report"]
    base: ReportBase = ReportBase.FULL

    def to_command(self, request_id: int) -> Command:
        return GetBaseReport(request_id, self.base)


class GetReportBody(CommandBody):
    """Have a part of the device model reported (2.x); it arrives as events."""

    command: Literal["get-report"]
    names: Names = ()
    criteria: Annotated[tuple[ComponentCriterion, ...], Field(max_length=4)] = ()

    def to_command(self, request_id: int) -> Command:
        return GetReport(request_id, self.names, self.criteria)


class RotatePasswordBody(CommandBody):
    """Give it a new random password, which nobody sees. The old one dies once the charger has the new one."""

    command: Literal["rotate-password"]

    def to_command(self, request_id: int) -> RotatePassword:
        return RotatePassword()


class ResetBody(CommandBody):
    """Restart it. Only while no session is open and its site can spare it."""

    command: Literal["reset"]
    kind: ResetKind = ResetKind.ON_IDLE
    evse_id: Evse = None

    def to_command(self, request_id: int) -> Command:
        return Reset(self.kind, self.evse_id)


class ChangeAvailabilityBody(CommandBody):
    """Take it, or one EVSE, out of service (only while no session is open) or put it back."""

    command: Literal["change-availability"]
    operative: Flag
    evse_id: Evse = None
    connector_id: Evse = None

    def to_command(self, request_id: int) -> Command:
        return ChangeAvailability(self.operative, self.evse_id, self.connector_id)


class ClearCacheBody(CommandBody):
    """Forget the ids that were authorised lately."""

    command: Literal["clear-cache"]

    def to_command(self, request_id: int) -> Command:
        return ClearCache()


class GetLocalListVersionBody(CommandBody):
    """Which local list it has."""

    command: Literal["get-local-list-version"]

    def to_command(self, request_id: int) -> Command:
        return GetLocalListVersion()


class SendLocalListBody(CommandBody):
    """Replace its local list by an empty one."""

    command: Literal["send-local-list"]
    version: Whole = Field(ge=1, le=2**31 - 1, description="Of the new, empty list.")

    def to_command(self, request_id: int) -> Command:
        return SendLocalList(self.version, full=True)


class GetInstalledCertificatesBody(CommandBody):
    """Which certificates it has, named as `delete-certificate` wants them; none given: all uses."""

    command: Literal["get-installed-certificates"]
    uses: Annotated[tuple[CertificateUse, ...], Field(max_length=9)] = ()

    def to_command(self, request_id: int) -> Command:
        return GetInstalledCertificateIds(self.uses)


class InstallCertificateBody(CommandBody):
    """Install a root."""

    PUBLIC_TEXT = frozenset({"certificate"})

    command: Literal["install-certificate"]
    use: CertificateUse
    certificate: Pem

    def to_command(self, request_id: int) -> Command:
        return InstallCertificate(self.use, self.certificate)


class DeleteCertificateBody(CommandBody):
    """Delete an installed certificate, named as the charger named it."""

    command: Literal["delete-certificate"]
    algorithm: HashAlgorithm = HashAlgorithm.SHA256
    issuer_name_hash: Hex
    issuer_key_hash: Hex
    serial_number: Hex

    def to_command(self, request_id: int) -> Command:
        return DeleteCertificate(
            CertificateHash(self.algorithm, self.issuer_name_hash, self.issuer_key_hash, self.serial_number)
        )


class CertificateSignedBody(CommandBody):
    """Hand it a certificate that an offline CA signed for its request."""

    PUBLIC_TEXT = frozenset({"chain"})

    command: Literal["certificate-signed"]
    chain: Pem
    use: CertificateUse | None = None
    request_id: Whole | None = Field(default=None, ge=0, le=2**31 - 1, description="As in its request (2.1).")

    def to_command(self, request_id: int) -> Command:
        return CertificateSigned(self.chain, self.use, self.request_id)


class SetNetworkProfileBody(CommandBody):
    """Write a connection into a slot that it does not use now (2.x); takes effect when the slot is chosen."""

    command: Literal["set-network-profile"]
    slot: Whole = Field(ge=0, le=100)
    csms_url: Address = Field(examples=["wss://csms.example/ocpp"])
    security_profile: Whole = Field(ge=1, le=3, description="Never lower than the one it connects with.")
    interface: Label = "Wired0"
    message_timeout_s: Whole = Field(default=30, ge=5, le=600)

    def to_command(self, request_id: int) -> Command:
        profile = NetworkProfile(self.csms_url, self.security_profile, self.interface, self.message_timeout_s)
        return SetNetworkProfile(self.slot, profile)


class SetMonitoringBody(CommandBody):
    """Set a monitor on a variable (2.x)."""

    command: Literal["set-monitoring"]
    name: Variable
    kind: MonitorKind
    value: float
    severity: Whole = Field(ge=0, le=9, description="0 danger to 9 debug.")
    monitor_id: Whole | None = Field(default=None, ge=0, description="Replace this one.")
    transaction_only: Flag = False

    def to_command(self, request_id: int) -> Command:
        setting = MonitorSetting(
            self.name, self.kind, self.value, self.severity, self.monitor_id, self.transaction_only
        )
        return SetVariableMonitoring((setting,))


class ClearMonitoringBody(CommandBody):
    """Remove monitors (2.x)."""

    command: Literal["clear-monitoring"]
    monitor_ids: Annotated[tuple[Whole, ...], Field(min_length=1, max_length=100)]

    def to_command(self, request_id: int) -> Command:
        return ClearVariableMonitoring(self.monitor_ids)


class SetMonitoringBaseBody(CommandBody):
    """Which monitors are there at all (2.x)."""

    command: Literal["set-monitoring-base"]
    base: MonitoringBase

    def to_command(self, request_id: int) -> Command:
        return SetMonitoringBase(self.base)


class SetMonitoringLevelBody(CommandBody):
    """Report events of this severity and graver ones (2.x)."""

    command: Literal["set-monitoring-level"]
    severity: Whole = Field(ge=0, le=9)

    def to_command(self, request_id: int) -> Command:
        return SetMonitoringLevel(self.severity)


class GetMonitoringReportBody(CommandBody):
    """Have its monitors reported (2.x); they arrive as events."""

    command: Literal["get-monitoring-report"]
    names: Names = ()
    criteria: Annotated[tuple[MonitoringCriterion, ...], Field(max_length=3)] = ()

    def to_command(self, request_id: int) -> Command:
        return GetMonitoringReport(request_id, self.names, self.criteria)


class GetLogBody(CommandBody):
    """Have a log uploaded to an address of yours; `/logs` has it uploaded to our store."""

    command: Literal["get-log"]
    location: Address
    kind: LogKind = LogKind.DIAGNOSTICS
    oldest: Instant | None = None
    latest: Instant | None = None

    def to_command(self, request_id: int) -> Command:
        return GetLog(request_id, self.location, self.kind, self.oldest, self.latest)


class DataTransferBody(CommandBody):
    """A vendor's own message. It may do anything, so only while no session is open."""

    HIDDEN = frozenset({"data"})

    command: Literal["data-transfer"]
    vendor_id: Label
    message_id: Label | None = None
    data: Annotated[str, Field(max_length=10_000)] | None = None

    def to_command(self, request_id: int) -> Command:
        return DataTransfer(self.vendor_id, self.message_id, self.data)


class CustomerInformationBody(CommandBody):
    """Have it forget what it keeps of a customer (2.x). Exactly one of token and identifier."""

    HIDDEN = frozenset({"token", "identifier"})

    command: Literal["customer-information"]
    token: Label | None = None
    token_type: Label = "ISO14443"  # noqa: S105 - a kind of card
    identifier: Label | None = None

    @model_validator(mode="after")
    def _one(self) -> "CustomerInformationBody":
        if (self.token is None) == (self.identifier is None):
            raise ValueError("give exactly one of token and identifier")
        return self

    def to_command(self, request_id: int) -> Command:
        token = IdToken(self.token, self.token_type) if self.token is not None else None
        return CustomerInformation(request_id, False, True, token, self.identifier)  # noqa: FBT003


class UnpublishFirmwareBody(CommandBody):
    """Have a local controller offer an image no more (2.x)."""

    command: Literal["unpublish-firmware"]
    checksum: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$", description="MD5, as it was published.")]

    def to_command(self, request_id: int) -> Command:
        return UnpublishFirmware(self.checksum)
