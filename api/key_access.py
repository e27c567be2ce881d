"""Where the settings say that online keys are, and how this process reaches tokens."""

import getpass
import sys

from api.settings import Settings
from signing import tokens
from signing.addresses import holder_of
from signing.errors import SigningError
from signing.keys import file_address, public_of
from signing.notary import RECORD, RecordKeys
from signing.roles import DIRECTIVE, SNAPSHOT, TIMESTAMP
from signing.service import OnlineKeys


def online_keys(settings: Settings) -> OnlineKeys:
    """The addresses of the signer's keys: those set, else the files of the key folder."""
    files = OnlineKeys.in_folder(settings.keys)
    return OnlineKeys(
        snapshot=settings.signer_snapshot or files.snapshot,
        timestamp=settings.signer_timestamp or files.timestamp,
        directive=settings.signer_directive or files.directive,
        folder=files.folder,
    )


def described(settings: Settings) -> dict[str, dict[str, str]]:
    """What the signer's keys are, by role: holder and key id, or the problem. Asks their holders."""
    return {role: _described(address) for role, address in key_addresses(settings).items()}


def key_addresses(settings: Settings) -> dict[str, str]:
    """Where each key is that the signer uses, by what it signs: TUF roles, directives, and the records."""
    keys = online_keys(settings)
    return {
        SNAPSHOT: keys.snapshot,
        TIMESTAMP: keys.timestamp,
        DIRECTIVE: keys.directive,
        RECORD: settings.signer_record or file_address(settings.keys / f"{RECORD}.pem"),
    }


def record_keys(settings: Settings) -> RecordKeys:
    """The key that vouches for the audit log and for evidence. Raises KeyUnavailable."""
    return RecordKeys.in_folder(settings.keys, settings.signer_record)


def _described(address: str) -> dict[str, str]:
    try:
        return {"holder": holder_of(address).words, "keyid": public_of(address).keyid}
    except SigningError as error:
        return {"problem": error.message, "hint": error.hint}


def use_tokens(settings: Settings, *, ask: bool = False) -> None:
    """From now on ``hsm:`` addresses work in this process; ``ask``: a person may type the PIN."""
    given = settings.pkcs11_pin.get_secret_value() if settings.pkcs11_pin else None
    typed: list[str] = []

    def pin() -> str | None:
        if given is None and ask and sys.stdin.isatty() and not typed:
            typed.append(getpass.getpass("PIN of the token: "))
        return given or (typed[0] if typed else None)

    tokens.use(tokens.TokenAccess(settings.pkcs11_module, pin))
