"""What chargers were before the updates that are under way, or that nobody has compared since (X9)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, case, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.campaign import TERMINAL_CAMPAIGN_PHASES, TargetPhase
from storage.kept import OWED, RUNS_IT, Kept, Owed
from storage.postgres.engine import reading, transaction, writing
from storage.postgres.execution_tables import update_kept
from storage.postgres.prepared import Prepared
from storage.postgres.tables import campaign, campaign_target, charger_route, frame, site_lease

_COLUMNS, _TARGET = update_kept.c, campaign_target.c
_NOTED = tuple(
    _COLUMNS[name]
    for name in (
        "campaign_id",
        "wave",
        "charger_id",
        "taken_at",
        "values",
        "profile",
        "roots",
        "local_list",
    )
)
_ITS = (
    _COLUMNS.campaign_id == bindparam("campaign"),
    _COLUMNS.wave == bindparam("of_wave"),
    _COLUMNS.charger_id == bindparam("charger"),
)
_KEEP = Prepared(
    insert(update_kept)
    .values({column.name: bindparam(column.name, type_=column.type) for column in _NOTED})
    .on_conflict_do_nothing()
)
_GET = Prepared(select(*_NOTED).where(*_ITS))
_FORGET = Prepared(delete(update_kept).where(*_ITS))

_OF_ITS_TARGET = (
    _TARGET.campaign_id == _COLUMNS.campaign_id,
    _TARGET.wave == _COLUMNS.wave,
    _TARGET.charger_id == _COLUMNS.charger_id,
    _TARGET.phase == TargetPhase.DONE.value,
)
_COUNTS = _TARGET.outcome.in_(sorted(RUNS_IT))
_HELD = exists().where(site_lease.c.charger_id == _COLUMNS.charger_id)
"""Somebody works on it, or did until a moment ago: what is noted of it may be needed."""
_CONNECTED = exists().where(charger_route.c.charger_id == _COLUMNS.charger_id)
_TELLING = (
    r'^\[2,"[^"]*","(ChangeConfiguration|SetVariables|InstallCertificate|DeleteCertificate|SendLocalList'
    r'|UpdateFirmware|SignedUpdateFirmware)"'
)
"""Frames that set or order something; ``csms.told`` reads them."""
_AROUND = timedelta(minutes=1)
"""What is noted of a charger is asked for then, and its order leaves next."""


class PostgresKeptStore:
    """See ``storage.kept.KeptStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, kept: Kept) -> None:
        """The first of a charger in a wave stands."""
        await _KEEP.rows(
            self._engine,
            campaign_id=kept.campaign_id,
            wave=kept.wave,
            charger_id=kept.charger_id,
            taken_at=kept.taken_at,
            values=dict(kept.values),
            profile=kept.profile,
            roots=list(kept.roots),
            local_list=kept.local_list,
        )

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        """None: nothing was known that could be compared."""
        row = await _GET.row(self._engine, campaign=campaign_id, of_wave=wave, charger=charger_id)
        return Kept(**row._asdict() | {"roots": tuple(row.roots)}) if row else None

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        """Idempotent."""
        await _FORGET.rows(self._engine, campaign=campaign_id, of_wave=wave, charger=charger_id)

    async def owed(self, at: datetime, *, limit: int) -> Sequence[Owed]:
        """Few rows at any time: one for each update under way, and for each that is owed."""
        query = (
            select(
                _COLUMNS.campaign_id,
                _COLUMNS.wave,
                _COLUMNS.charger_id,
                _TARGET.to_version,
                _TARGET.dispatched_at.is_not(None),
                func.coalesce(_TARGET.finished_at, _COLUMNS.taken_at),
                _COLUMNS.tries,
                _COLUMNS.next_at,
            )
            .join(campaign_target, (_OF_ITS_TARGET[0]) & _OF_ITS_TARGET[1] & _OF_ITS_TARGET[2])
            .where(
                _OF_ITS_TARGET[3],
                _COUNTS,
                ~_COLUMNS.spoilt,
                or_(_COLUMNS.next_at.is_(None), _COLUMNS.next_at <= at),
                ~_HELD,
            )
            .order_by(_CONNECTED.desc(), _COLUMNS.next_at.nulls_first(), _COLUMNS.taken_at)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [Owed(*row) for row in await connection.execute(query)]

    async def looked_at(self, owed: Sequence[Owed], at: datetime) -> None:
        """One statement; ``next_at`` says since when they wait for their turn."""
        keys = [(one.campaign_id, one.wave, one.charger_id) for one in owed]
        statement = update(update_kept).where(
            tuple_(_COLUMNS.campaign_id, _COLUMNS.wave, _COLUMNS.charger_id).in_(keys),
            or_(_COLUMNS.next_at.is_(None), _COLUMNS.next_at < at),
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement.values(next_at=at))

    async def count_try(self, owed: Owed, next_at: datetime) -> None:
        """Counted before it is asked: a node that dies over it does not ask for ever."""
        values = {"tries": _COLUMNS.tries + 1, "next_at": next_at}
        async with writing(self._engine) as connection:
            await connection.execute(update(update_kept).where(*_of(owed)).values(**values))

    async def settle(self, owed: Owed, words: str, *, spoilt: bool = False) -> None:
        """In one transaction, so that a crash leaves it owed."""
        said = _TARGET.reason
        told = func.replace(said, OWED, words)
        anew = case((said.contains(OWED, autoescape=True), told), else_=func.concat(said, "; ", words))
        target = update(campaign_target).where(
            _TARGET.campaign_id == owed.campaign_id,
            _TARGET.wave == owed.wave,
            _TARGET.charger_id == owed.charger_id,
            _TARGET.phase == TargetPhase.DONE.value,
            exists().where(*_of(owed), ~_COLUMNS.spoilt),
        )
        row = update(update_kept).values(spoilt=True) if spoilt else delete(update_kept)
        async with transaction(self._engine) as connection:
            await connection.execute(target.values(reason=anew))
            await connection.execute(row.where(*_of(owed)))

    async def spoilt(self, campaign_id: str, wave: int) -> frozenset[str]:
        """See ``storage.kept.KeptStore``."""
        query = select(_COLUMNS.charger_id).where(
            _COLUMNS.campaign_id == campaign_id, _COLUMNS.wave == wave, _COLUMNS.spoilt
        )
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def set_since(self, charger_id: str, at: datetime) -> Sequence[str]:
        """By the journal: nothing is ever sent that it does not tell of."""
        query = (
            select(frame.c.text)
            .where(
                frame.c.charger_id == charger_id,
                frame.c.at >= at,
                frame.c.direction == "out",
                frame.c.text.regexp_match(_TELLING),
            )
            .order_by(frame.c.at, frame.c.frame_id)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def reaches(self, charger_id: str, at: datetime) -> bool:
        """Its partition goes as a whole, and later ones may stay."""
        query = exists().where(
            frame.c.charger_id == charger_id, frame.c.at >= at - _AROUND, frame.c.at <= at + _AROUND
        )
        async with reading(self._engine) as connection:
            return bool((await connection.execute(select(query))).scalar_one())

    async def sweep(self) -> int:
        """Of targets that ended otherwise, and of campaigns that are over: no gate counts them any more."""
        over = [phase.value for phase in TERMINAL_CAMPAIGN_PHASES]
        statement = delete(update_kept).where(
            *_OF_ITS_TARGET,
            campaign.c.campaign_id == _COLUMNS.campaign_id,
            or_(~_COUNTS, _COLUMNS.spoilt & campaign.c.phase.in_(over)),
            ~_HELD,
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).rowcount


def _of(owed: Owed) -> tuple[ColumnElement[bool], ...]:
    return (
        _COLUMNS.campaign_id == owed.campaign_id,
        _COLUMNS.wave == owed.wave,
        _COLUMNS.charger_id == owed.charger_id,
    )
