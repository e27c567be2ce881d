"""Passwords of chargers and their change, and the profile floor."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Update, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charger import ChargerCredential
from storage.credentials import PendingFate, PendingSecret
from storage.errors import Conflict, NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.grouped import Grouped
from storage.postgres.prepared import Keyed
from storage.postgres.retirement import refuse_buried
from storage.postgres.tables import charger, charger_credential
from storage.retirement import Remains

_COLUMNS = charger_credential.c
_OF = Keyed(select(charger_credential), _COLUMNS.charger_id)
_NO_PENDING: dict[str, Any] = {"pending_hmac": None, "pending_since": None}


class PostgresCredentialStore:
    """What may change of a charger's credentials after its registration."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._credentials: Grouped[str, ChargerCredential] = Grouped(self._read_credentials)

    async def credential(self, charger_id: str) -> ChargerCredential | None:
        """None for a charger that has no password, or that does not exist."""
        return await self._credentials.ask(charger_id)

    async def _read_credentials(self, charger_ids: Sequence[str]) -> dict[str, ChargerCredential]:
        rows = await _OF.rows(self._engine, charger_ids)
        return {row.charger_id: _credential(row) for row in rows}

    async def raise_security_floor(self, charger_id: str, profile: int) -> None:
        """At least this from now on."""
        async with transaction(self._engine) as connection:
            await connection.execute(raised_floor(charger_id, profile))

    async def named(self, name: str) -> Sequence[str]:
        """The chargers whose identity or serial number this is, by id."""
        query = (
            select(charger.c.charger_id)
            .where(or_(charger.c.charger_id == name, charger.c.serial_number == name))
            .order_by(charger.c.charger_id)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def offer_secret(self, charger_id: str, pending: PendingSecret) -> None:
        """Remember a new password before it is sent. Raises NotFound or Conflict."""
        statement = (
            update(charger_credential)
            .where(_COLUMNS.charger_id == charger_id, _COLUMNS.pending_hmac.is_(None))
            .values(pending_hmac=pending.secret_hmac, pending_since=pending.since)
        )
        known = select(_COLUMNS.charger_id).where(_COLUMNS.charger_id == charger_id)
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement)).rowcount == 1:
                return
            if (await connection.execute(known)).one_or_none() is None:
                raise NotFound("password of charger", charger_id)
        raise Conflict(
            f"A new password of charger {charger_id!r} is pending already.",
            hint="Its next restart shows which one it uses; change it after that.",
        )

    async def settle_secret(self, charger_id: str, pending: PendingSecret, fate: PendingFate) -> None:
        """Say what becomes of this pending password."""
        still = _COLUMNS.pending_hmac == pending.secret_hmac
        values: dict[str, Any] = dict(_NO_PENDING)
        if fate is PendingFate.HOLD:
            return
        if fate is PendingFate.PROMOTE:
            values |= {"secret_hmac": pending.secret_hmac, "created_at": pending.since}
            # A connection with the old one may have dropped it a moment before the charger's yes came in.
            still = or_(still, and_(_COLUMNS.pending_hmac.is_(None), _COLUMNS.created_at <= pending.since))
        statement = update(charger_credential).where(_COLUMNS.charger_id == charger_id, still)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.values(**values))


def _credential(row: Any) -> ChargerCredential:
    pending = None
    if row.pending_hmac is not None:
        pending = PendingSecret(row.pending_hmac, row.pending_since)
    return ChargerCredential(row.charger_id, row.secret_hmac, row.created_at, pending)


def raised_floor(charger_id: str, profile: int) -> Update:
    """The statement that makes this the lowest profile, unless the lowest is higher already."""
    return (
        update(charger)
        .where(charger.c.charger_id == charger_id, charger.c.security_floor < profile)
        .values(security_floor=profile)
    )


async def put_credential(connection: AsyncConnection, credential: ChargerCredential) -> None:
    """Set a charger's password; a pending one is forgotten. Raises Conflict if it is another's (F36).

    Equal passwords have equal HMACs under one pepper. Two who register the same one at the same
    time wait for each other.
    """
    lock = int.from_bytes(credential.secret_hmac[:8], "big", signed=True)
    await connection.execute(select(func.pg_advisory_xact_lock(lock)))
    same = or_(
        _COLUMNS.secret_hmac == credential.secret_hmac, _COLUMNS.pending_hmac == credential.secret_hmac
    )
    others = select(_COLUMNS.charger_id).where(same, _COLUMNS.charger_id != credential.charger_id).limit(1)
    if (await connection.execute(others)).first() is not None:
        raise Conflict(
            f"The password for charger {credential.charger_id!r} belongs to another charger already.",
            hint="Give every charger a random password of its own.",
        )
    await refuse_buried(connection, [(Remains.PASSWORD, credential.secret_hmac.hex())])
    values = {"secret_hmac": credential.secret_hmac, "created_at": credential.created_at, **_NO_PENDING}
    statement = insert(charger_credential).values(charger_id=credential.charger_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["charger_id"], set_=values))
