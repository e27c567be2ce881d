"""An Idempotency-Key is for one request: the same key with another one does nothing, and says so.

Where a request makes a thing of its own, what is stored of that tells; acts leave no such thing, so what
their keys were used for is kept. The key is bound before the act, so a lost answer changes nothing about it.
"""

from typing import Any

from api.errors import KeyReused
from api.ports import ApiServices
from storage.canonical import digest


async def bind(services: ApiServices, act_id: str, *asked: Any) -> None:
    """Bind an act's id to what was asked. Raises KeyReused if it was something else before."""
    wanted = digest(asked)
    if await services.request_keys.claim(act_id, wanted, services.clock()) != wanted:
        raise KeyReused
