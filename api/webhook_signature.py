"""Signatures of webhooks as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, time and body.

A webhook's secret is derived from the deployment's pepper (HKDF, RFC 5869) and is stored nowhere: a stolen
database holds none. It is shown once, when it is made or rotated.
"""

import base64
import hashlib
import hmac
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.notice import Webhook

_PREFIX = "whsec_"


def webhook_secret(pepper: bytes, webhook_id: str, number: int) -> str:
    """The secret of a webhook after so many rotations, as its receiver enters it."""
    info = f"ampwave webhook v1|{webhook_id}|{number}".encode()
    key = HKDF(SHA256(), length=32, salt=None, info=info).derive(pepper)
    return _PREFIX + base64.b64encode(key).decode()


def signature(secret: str, message_id: str, at: datetime, body: bytes) -> str:
    """One signature, ``v1,...``."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def signed_headers(
    pepper: bytes, webhook: Webhook, message_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """The three headers; two signatures while the secret before the last rotation still counts."""
    numbers = [webhook.secret_number]
    if webhook.old_secret_until is not None and at < webhook.old_secret_until:
        numbers.append(webhook.secret_number - 1)
    secrets = [webhook_secret(pepper, webhook.webhook_id, number) for number in numbers]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signature(secret, message_id, at, body) for secret in secrets),
    }
