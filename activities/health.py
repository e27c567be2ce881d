"""Measures the health of updated chargers beside that of chargers whose turn has not come."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio import activity

from activities.errors import mapped
from activities.evidence import Counts, Evidence, Sample
from activities.fleet import WaveQuery
from activities.measures import MEASURES, Span, pairs
from activities.sampling import summarise
from activities.stores import Stores
from storage.campaign import FORWARD_AGAIN_WAVE, REHEARSAL_WAVE, Outcome, Target
from storage.events import ConnectorStatus
from storage.health import ChargerSpan, SpanQuery, Watermark
from storage.health_time import REAL, HealthTime
from storage.ports import ChargerView

BASELINE_HOURS = 14 * 24
_PAGE = 1000
_ALL = 1_000_000
MAX_STRATA = 16
"""More are told apart by model only, so that the evidence stays small."""


class _Window(NamedTuple):
    """From when a charger is watched, and up to when its own past counts."""

    since: datetime
    before: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    """What its twin says of a charger now."""

    model: tuple[str, str]
    version: str | None
    faulted: bool
    unavailable: bool


@dataclass(frozen=True, slots=True)
class _Row:
    span: ChargerSpan
    treated: bool
    now: _Known
    kind: str
    """Of its site: depot, highway, ...; "": none is known."""

    @property
    def fine(self) -> str:
        told = f"{self.coarse}|{self.span.hardware_revision or ''}"
        return f"{told}|{self.kind}" if self.kind else told

    @property
    def coarse(self) -> str:
        return f"{self.span.vendor}/{self.span.model}"


class HealthActivities:
    """Counts, never opinions."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def measure_health(self, given: WaveQuery) -> Evidence:
        """The evidence of a campaign up to a wave: everybody updated, against those of later waves.

        An updated charger is watched from the first full hour after its proof. Each of the others is
        watched from the same hour as an updated one of its model, dealt out in turn: both groups live through
        the same hours. In both only chargers count that were heard in the day before, that run what their arm
        runs, and that nobody else updated meanwhile.
        """
        now = self._stores.clock()
        waves = sorted(
            tally.wave
            for tally in await self._stores.campaigns.tallies(given.campaign_id)
            if tally.wave < REHEARSAL_WAVE
        )
        updated, waiting = await self._arms(given, waves)
        known = await self._known([target.charger_id for target in (*updated, *waiting)])
        kept_updated = [each for each in updated if not _went_back(each, known)]
        kept_waiting = [each for each in waiting if not _got_other(each, known)]
        changed = len(updated) + len(waiting) - len(kept_updated) - len(kept_waiting)
        time = self._stores.health.time
        windows = _windows(kept_updated, kept_waiting, known, time)
        for name in await self._sent_elsewhere(given.campaign_id, windows):
            del windows[name]
            changed += 1
        queries = [SpanQuery(name, *window) for name, window in windows.items()]
        treated = {target.charger_id for target in updated}
        rows, watermark = await self._rows(queries, treated, known)
        found = summarise(
            _sample(rows), last=given.wave >= max(waves, default=0), behind_seconds=_behind(watermark, now)
        )
        return replace(found, changed=changed or None, hour_seconds=None if time == REAL else time.seconds)

    async def _arms(self, given: WaveQuery, waves: Sequence[int]) -> tuple[list[Target], list[Target]]:
        updated: list[Target] = []
        waiting: list[Target] = []
        for wave in waves:
            targets = await self._stores.campaigns.targets(given.campaign_id, wave, 0, _ALL)
            if wave <= given.wave:
                updated += [each for each in targets if each.outcome is Outcome.UPDATED and each.finished_at]
            else:
                waiting += [each for each in targets if each.outcome is None and each.dispatched_at is None]
        return await self._anew(given.campaign_id, updated), waiting

    async def _anew(self, campaign_id: str, updated: list[Target]) -> list[Target]:
        """Who went back in a rehearsal and forward again is watched from its second proof: not in between."""
        again = await self._stores.campaigns.targets(campaign_id, FORWARD_AGAIN_WAVE, 0, _ALL)
        proven = {row.charger_id: row.finished_at for row in again if row.outcome is Outcome.UPDATED}
        return [
            replace(target, finished_at=proven.get(target.charger_id) or target.finished_at)
            for target in updated
        ]

    async def _sent_elsewhere(self, campaign_id: str, windows: Mapping[str, _Window]) -> set[str]:
        """Those that another campaign updated within their window: its restarts and faults are not ours.

        Whatever they run by now: a release that looped and was taken back left restarts and nothing else.
        """
        names, found = list(windows), set[str]()
        if not names:
            return found
        since = min(window.since for window in windows.values())
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            found |= {
                sent.charger_id
                for sent in await self._stores.campaigns.sent_elsewhere(campaign_id, page, since)
                if sent.finished_at is None or sent.finished_at >= windows[sent.charger_id].since
            }
        return found

    async def _known(self, names: Sequence[str]) -> dict[str, _Known]:
        known: dict[str, _Known] = {}
        for start in range(0, len(names), _PAGE):  # a page of twins at a time: a whole fleet's are large
            for view in await self._stores.chargers.views(names[start : start + _PAGE]):
                known[view.charger.charger_id] = _known_of(view)
        return known

    async def _rows(
        self, queries: Sequence[SpanQuery], treated: set[str], known: Mapping[str, _Known]
    ) -> tuple[list[_Row], Watermark]:
        rows: list[_Row] = []
        now = self._stores.clock()
        watermark, baseline = Watermark(0, now), self._stores.health.time.span(BASELINE_HOURS)
        kinds = {site.site_id: site.rules.kind or "" for site in await self._stores.chargers.sites()}
        for start in range(0, len(queries), _PAGE):
            found = await self._stores.health.spans(queries[start : start + _PAGE], now, baseline)
            watermark = found.watermark
            rows += [
                _Row(span, span.charger_id in treated, known[span.charger_id], kinds.get(span.site_id, ""))
                for span in found.chargers
                if span.lately
            ]
        return rows, watermark


def _behind(watermark: Watermark, now: datetime) -> float:
    """Without a projection ever run nothing is known: behind for ever."""
    through = watermark.through or datetime(1970, 1, 1, tzinfo=UTC)
    return max(0.0, (now - through).total_seconds())


def _windows(
    updated: Sequence[Target], waiting: Sequence[Target], known: Mapping[str, _Known], time: HealthTime
) -> dict[str, _Window]:
    """A window for each updated charger, and for each of the others that of an updated one of its model."""
    windows: dict[str, _Window] = {}
    by_model: defaultdict[tuple[str, str], list[_Window]] = defaultdict(list)
    for target in updated:
        if target.finished_at is None or target.charger_id not in known:
            continue
        window = _Window(
            time.next(target.finished_at), time.begin(target.dispatched_at or target.finished_at)
        )
        windows[target.charger_id] = window
        by_model[known[target.charger_id].model].append(window)
    dealt: defaultdict[tuple[str, str], int] = defaultdict(int)
    for target in waiting:
        now = known.get(target.charger_id)
        if now is not None and (model := now.model) in by_model:
            windows[target.charger_id] = by_model[model][dealt[model] % len(by_model[model])]
            dealt[model] += 1
    return windows


def _known_of(view: ChargerView) -> _Known:
    operation, firmware = view.twin.operation, view.twin.firmware
    told = {each.status for each in operation.connectors.values()} if operation else set()
    return _Known(
        model=(view.charger.vendor, view.charger.model),
        version=firmware.version if firmware else None,
        faulted=ConnectorStatus.FAULTED in told,
        unavailable=ConnectorStatus.UNAVAILABLE in told,
    )


def _went_back(target: Target, known: Mapping[str, _Known]) -> bool:
    """It proved the new version and runs another: its hours tell of neither. Outcomes count it as failed."""
    now = known.get(target.charger_id)
    return now is not None and now.version not in (None, target.to_version)


def _got_other(target: Target, known: Mapping[str, _Known]) -> bool:
    """It was to wait and got firmware from elsewhere: it is no longer what the updated were."""
    now = known.get(target.charger_id)
    if now is None or now.version is None:
        return False
    return now.version != (target.from_version or now.version) or now.version == target.to_version


def _sample(rows: Sequence[_Row]) -> Sample:
    fine = len({row.fine for row in rows}) <= MAX_STRATA
    window = [
        pairs(
            Span(row.span.window, row.span.hours, row.span.heard_hours, row.now.faulted, row.now.unavailable)
        )
        for row in rows
    ]
    before = [pairs(Span(row.span.baseline, row.span.base_hours, row.span.base_heard_hours)) for row in rows]
    return Sample(
        strata=[row.fine if fine else row.coarse for row in rows],
        sites=[row.span.site_id for row in rows],
        treated=[row.treated for row in rows],
        minutes=[row.span.hours * 60 for row in rows],
        heard=[row.span.heard_hours > 0 for row in rows],
        signals={
            name: Counts(
                hits=[each[name][0] for each in window],
                exposure=[each[name][1] for each in window],
                base_hits=[each[name][0] for each in before],
                base_exposure=[each[name][1] for each in before],
            )
            for name in MEASURES
        },
    )
