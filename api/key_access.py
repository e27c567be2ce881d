"""Where the settings say that online keys are, and how this process reaches tokens."""

import getpass
import sys

from api.settings import Settings
from signing import tokens
from signing.service import OnlineKeys


def online_keys(settings: Settings) -> OnlineKeys:
    """The addresses of the signer's keys: those set, else the files of the key folder."""
    files = OnlineKeys.in_folder(settings.keys)
    return OnlineKeys(
        snapshot=settings.signer_snapshot or files.snapshot,
        timestamp=settings.signer_timestamp or files.timestamp,
        directive=settings.signer_directive or files.directive,
    )


def use_tokens(settings: Settings, *, ask: bool = False) -> None:
    """From now on ``hsm:`` addresses work in this process; ``ask``: a person may type the PIN."""
    given = settings.pkcs11_pin.get_secret_value() if settings.pkcs11_pin else None
    typed: list[str] = []

    def pin() -> str | None:
        if given is None and ask and sys.stdin.isatty() and not typed:
            typed.append(getpass.getpass("PIN of the token: "))
        return given or (typed[0] if typed else None)

    tokens.use(tokens.TokenAccess(settings.pkcs11_module, pin))
