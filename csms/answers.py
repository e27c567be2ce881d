"""What a charger's answers have in common over all versions."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from csms.commands import AnswerStatus, CommandAnswer, ItemAnswer
from csms.frames import Payload
from csms.redaction import redact
from storage.certificate_use import CertificateHash, HashAlgorithm

_DETAIL_CHARS = 300
"""As much of a charger's explanation as a sentence can hold."""

_SPELLED = {
    "NotSupported": AnswerStatus.NOT_IMPLEMENTED,
    "UnknownVendorId": AnswerStatus.NOT_IMPLEMENTED,
    "UnknownMessageId": AnswerStatus.NOT_IMPLEMENTED,
    "Unpublished": AnswerStatus.ACCEPTED,
    "NoFirmware": AnswerStatus.NOT_FOUND,
    # ClearChargingProfile: no profile fits.
    "Unknown": AnswerStatus.NOT_FOUND,
}
"""Words of single messages for what the canonical language says otherwise."""

_GOOD = (AnswerStatus.ACCEPTED, AnswerStatus.REBOOT_REQUIRED)
_NOTHING = (AnswerStatus.NOT_FOUND, AnswerStatus.EMPTY_RESULT_SET)


def status_of(word: str) -> AnswerStatus:
    """The canonical status. Raises ValueError for a word that no version has."""
    return _SPELLED.get(word) or AnswerStatus(word)


def detail_of(info: object) -> str:
    """A ``statusInfo`` (2.x) in words that may be kept.

    A charger likes to repeat the address it was given, which is a secret (S43).
    """
    if not isinstance(info, Mapping):
        return ""
    said = ": ".join(str(info[key]) for key in ("reasonCode", "additionalInfo") if info.get(key))
    return brief(redact(said))


def brief(text: str) -> str:
    """Not more of it than a sentence can hold."""
    return text[:_DETAIL_CHARS]


def by_status(_command: Any, _action: str, payload: Payload) -> CommandAnswer:
    """An answer with a ``status`` and perhaps a ``statusInfo``. Raises ValueError for an unknown status."""
    return CommandAnswer(status_of(payload["status"]), detail_of(payload.get("statusInfo")))


def with_file_name(command: Any, action: str, payload: Payload) -> CommandAnswer:
    """GetLog, which spells it in lower case."""
    answer = by_status(command, action, payload)
    return CommandAnswer(answer.status, answer.detail, file_name=payload.get("filename"))


def with_data(command: Any, action: str, payload: Payload) -> CommandAnswer:
    """DataTransfer; in 2.x its data may be any JSON."""
    answer, data = by_status(command, action, payload), payload.get("data")
    text = data if data is None or isinstance(data, str) else orjson.dumps(data).decode()
    return CommandAnswer(answer.status, answer.detail, data=text)


def of_items(items: Sequence[ItemAnswer]) -> CommandAnswer:
    """The answer to a command with parts: as good as its first part that is not."""
    refused = [item for item in items if item.status not in _GOOD]
    statuses = [item.status for item in refused or items]
    reboot = not refused and AnswerStatus.REBOOT_REQUIRED in statuses
    status = AnswerStatus.REBOOT_REQUIRED if reboot else (statuses or [AnswerStatus.ACCEPTED])[0]
    named = ", ".join(f"{item.name} {item.status.value}" for item in refused)
    return CommandAnswer(status, brief(named), items=tuple(items))


def joined(answers: Sequence[CommandAnswer]) -> CommandAnswer:
    """One answer of those to the parts of a command; to find nothing in one part is no fault of the whole."""
    if len(answers) == 1:
        return answers[0]
    items = tuple(item for answer in answers for item in answer.items)
    if items:
        return of_items(items)
    certificates = tuple(each for answer in answers for each in answer.certificates)
    told = [answer for answer in answers if answer.status not in _NOTHING]
    bad = [answer for answer in told if answer.status not in _GOOD]
    chosen = (bad or told or answers)[0]
    values = tuple(pair for answer in answers for pair in answer.values)
    same = [answer.detail for answer in answers if answer.status is chosen.status and answer.detail]
    return CommandAnswer(chosen.status, brief(", ".join(same)), values, certificates=certificates)


def hash_to_wire(certificate: CertificateHash) -> Payload:
    """CertificateHashDataType, the same in 1.6 and 2.x."""
    return {
        "hashAlgorithm": certificate.algorithm.value,
        "issuerNameHash": certificate.issuer_name_hash,
        "issuerKeyHash": certificate.issuer_key_hash,
        "serialNumber": certificate.serial_number,
    }


def hash_from_wire(data: Mapping[str, Any]) -> CertificateHash:
    """The inverse; an OCSPRequestDataType has the same four fields."""
    return CertificateHash(
        HashAlgorithm(data["hashAlgorithm"]),
        data["issuerNameHash"],
        data["issuerKeyHash"],
        data["serialNumber"],
    )
