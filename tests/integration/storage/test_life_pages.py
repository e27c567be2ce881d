"""What the pages of chargers' lives read: in pages that nobody is twice on, counted by day and authority."""

from datetime import timedelta
from typing import Any

import pytest

from csms.projection import project
from storage.certificate import EndCount
from storage.charger import Charger, Site
from storage.errors import InvalidInput
from storage.events import ConnectionOpened, EventRecord
from storage.postgres.certificates import PostgresCertificateStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.provisioning import Advance, Enrolment, EnrolmentState, Origin
from storage.retirement import Retirement
from storage.twin import Lifecycle
from tests.integration.storage.conftest import NOW
from tests.support.passports import facts

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


async def whole(ask: Any, **more: Any) -> list[str]:
    """Every charger of a listing, two to a page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await ask(limit=2, cursor=cursor, **more)
        assert len(page.items) <= 2
        found += [each.charger_id for each in page.items]
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


@pytest.fixture
async def names(engine: Any) -> list[str]:
    chargers, made = PostgresChargerStore(engine), [f"L-{n}" for n in range(5)]
    await chargers.put_site(Site("yard", "Yard", "UTC"))
    for name in made:
        await chargers.register(Charger(name, "yard", "Volta", "V22", serial_number=f"S{name}"), None)
    return made


async def test_ends_of_certificates_come_in_pages_and_are_counted_by_day_and_authority(
    engine: Any, names: list[str]
) -> None:
    store = PostgresCertificateStore(engine)
    ends = [NOW - DAY, NOW + 3 * DAY, NOW + 3 * DAY, NOW + 50 * DAY, NOW + 900 * DAY]
    opened = [
        ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "n1", certificate_serial=f"0{n}", certificate_until=end)
        for n, end in enumerate(ends)
    ]
    records = [EventRecord(name, event, NOW, NOW, 1) for name, event in zip(names, opened, strict=True)]
    await PostgresIngestStore(engine).commit([], records, project)
    ours = facts().certificates[0]
    await store.add(type(ours)(**{**_fields(ours), "charger_id": "L-1", "serial": "01"}))

    before = NOW + 400 * DAY

    async def ending(**given: Any) -> Any:
        return await store.ending(given.pop("since", None), before, **given)

    assert await whole(ending) == names[:4]
    assert await whole(ending, since=NOW) == names[1:4]
    first = (await store.ending(NOW, before, limit=1)).items[0]
    assert (first.charger_id, first.issuer, first.site_id) == ("L-1", "cc" * 32, "yard")
    day = (NOW + 3 * DAY).date()
    counts = [each for each in await store.calendar(before) if each.day == day]
    assert counts == [EndCount(day, "", 1, 1), EndCount(day, "cc" * 32, 1, 1)]
    assert [each.charger_id for each in await store.expiries(NOW)] == ["L-0"]
    with pytest.raises(InvalidInput):
        await store.ending(None, before, cursor="x")


def _fields(noun: Any) -> dict[str, Any]:
    return {name: getattr(noun, name) for name in noun.__dataclass_fields__}


async def test_the_queue_and_the_retired_come_in_pages(engine: Any, names: list[str]) -> None:
    queue, ends = PostgresProvisioningStore(engine), PostgresRetirementStore(engine)
    for n in range(5):
        parked = Charger(f"Q-{n}", "yard", "Volta", "V22", Lifecycle.PROVISIONING, f"SQ-{n}")
        at = NOW + (n // 2) * DAY  # some at the same instant
        await queue.enrol(parked, None, Enrolment(f"Q-{n}", Origin.BULK, "ada", at, at + DAY, "production"))
    given = Advance("Q-4", EnrolmentState.REGISTERED, EnrolmentState.EXPIRED, NOW)
    assert await queue.advance(given)
    assert await whole(queue.waiting) == ["Q-0", "Q-1", "Q-2", "Q-3"]
    assert await queue.standing() == {EnrolmentState.REGISTERED: 4, EnrolmentState.EXPIRED: 1}
    for n, name in enumerate(names):
        at = NOW + (n // 2) * DAY
        await ends.open(Retirement(name, "sam", "sold", at, at + DAY))
    assert await whole(ends.page) == ["L-4", "L-3", "L-2", "L-1", "L-0"]
