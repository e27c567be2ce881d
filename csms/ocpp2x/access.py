"""OCPP 2.x: local lists, customer information and network profiles, to and from the wire."""

from csms.access import (
    Apn,
    CustomerInformation,
    GetLocalListVersion,
    IdToken,
    ListEntry,
    NetworkProfile,
    SendLocalList,
    SetNetworkProfile,
    Vpn,
)
from csms.answers import hash_to_wire
from csms.commands import AnswerStatus, CommandAnswer
from csms.dialect import Calling
from csms.errors import Unsupported
from csms.frames import Payload
from csms.ocpp2x.said import said
from csms.timestamps import format_instant


def local_list(command: SendLocalList, _: Calling) -> Payload:
    """SendLocalList; an empty list has no list at all (D01.FR.04)."""
    request: Payload = {
        "versionNumber": command.version,
        "updateType": "Full" if command.full else "Differential",
    }
    if command.entries:
        request["localAuthorizationList"] = [_entry(entry) for entry in command.entries]
    return request


def _entry(entry: ListEntry) -> Payload:
    token = {"idToken": _token(entry.token)}
    if entry.status is None:
        return token
    expiry = entry.expires_at and format_instant(entry.expires_at)
    return {**token, "idTokenInfo": said(status=entry.status.value, cacheExpiryDateTime=expiry)}


def _token(token: IdToken) -> Payload:
    return {"idToken": token.token, "type": token.type}


def list_version(_command: GetLocalListVersion, _action: str, payload: Payload) -> CommandAnswer:
    """GetLocalListVersion; 0 where there is none (D02.FR.03)."""
    return CommandAnswer(AnswerStatus.ACCEPTED, list_version=int(payload["versionNumber"]))


def customer_information(command: CustomerInformation, _: Calling) -> Payload:
    """CustomerInformation (N09, N10)."""
    whom = said(
        idToken=command.token and _token(command.token),
        customerIdentifier=command.identifier,
        customerCertificate=command.certificate and hash_to_wire(command.certificate),
    )
    # N09.FR.04, FR.09: exactly one of the three says who is meant.
    if len(whom) != 1:
        raise Unsupported("OCPP 2.x", "CustomerInformation without exactly one customer reference")
    return {
        "requestId": command.request_id,
        "report": command.report,
        "clear": command.clear,
        **whom,
    }


def network_profile(command: SetNetworkProfile, _: Calling) -> Payload:
    """SetNetworkProfile of 2.0.1, where the version is to be told and OCPP20 means 2.0.1."""
    profile = command.profile
    if profile.identity is not None or profile.password is not None:
        raise Unsupported("ocpp2.0.1", "an identity or a password in a network profile")
    data = {**_connection(profile), "ocppVersion": "OCPP20"}
    return {"configurationSlot": command.slot, "connectionData": data}


def network_profile_21(command: SetNetworkProfile, _: Calling) -> Payload:
    """SetNetworkProfile of 2.1, where the handshake decides the version."""
    profile = command.profile
    more = said(identity=profile.identity, basicAuthPassword=profile.password)
    return {"configurationSlot": command.slot, "connectionData": {**_connection(profile), **more}}


def _connection(profile: NetworkProfile) -> Payload:
    return {
        "ocppTransport": "JSON",
        "ocppCsmsUrl": profile.csms_url,
        "messageTimeout": profile.message_timeout_s,
        "securityProfile": profile.security_profile,
        "ocppInterface": profile.interface,
        **said(apn=profile.apn and _apn(profile.apn), vpn=profile.vpn and _vpn(profile.vpn)),
    }


def _apn(apn: Apn) -> Payload:
    return said(
        apn=apn.address,
        apnAuthentication=apn.authentication.value,
        apnUserName=apn.user,
        apnPassword=apn.password,
        simPin=apn.sim_pin,
    )


def _vpn(vpn: Vpn) -> Payload:
    return said(
        server=vpn.server,
        user=vpn.user,
        group=vpn.group,
        password=vpn.password,
        key=vpn.key,
        type=vpn.kind.value,
    )
