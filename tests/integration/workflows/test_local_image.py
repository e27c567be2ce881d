"""A site's local controller fetches an image once for all chargers there (OCPP 2.0.1 L03, L04)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    PublishFirmware,
    UnpublishFirmware,
    UpdateFirmware,
)
from storage.campaign import CampaignPhase, Pace
from storage.canonical import sha256_hex
from storage.events import FirmwareStatus
from storage.publication import Publication
from storage.reports import PUBLISH_FAILURES, PublishStatus, PublishStatusReported
from storage.upkeep import SiteRules
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import ACCEPTED, World, good

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S29")]
PACE = Pace(tick_seconds=5.0, attempt_deadline_seconds=600.0, settle_seconds=0.1)
ADDRESS = "http://192.0.2.1/image"


class Controller:
    """What it reports when it is asked to publish, and what it answers when it is to stop."""

    def __init__(self, world: World, *trains: Sequence[PublishStatus]) -> None:
        self.name, *self.others = world.add_chargers(4, sites=1, max_down=4)
        self.asked: list[PublishFirmware] = []
        self.stopped: list[UnpublishFirmware] = []
        self.refused: list[AnswerStatus] = []
        self.open_when_stopped: list[int] = []
        self._world, self._trains = world, list(trains)
        world.on_send = self._hear
        world.answers |= {PublishFirmware: ACCEPTED, UnpublishFirmware: ACCEPTED}
        site = world.chargers.site_rows["site-0"]
        world.chargers.site_rows["site-0"] = replace(site, rules=SiteRules(local_controller=self.name))
        for version in ("1.0", "1.1"):
            world.blobs.objects[sha256_hex(version.encode())] = version.encode()

    async def _hear(self, charger_id: str, command: Command) -> None:
        world = self._world
        if isinstance(command, PublishFirmware):
            assert charger_id == self.name
            self.asked.append(command)
            for status in self._trains.pop(0) if self._trains else ():
                places = (ADDRESS,) if status is PublishStatus.PUBLISHED else ()
                event = PublishStatusReported(status, command.request_id, places)
                await world._tell(charger_id, event, signal=False)
        if isinstance(command, UnpublishFirmware):
            self.stopped.append(command)
            self.open_when_stopped.append(await world.publications.open_targets("c1", 0, "site-0"))
            told = self.refused.pop(0) if self.refused else AnswerStatus.ACCEPTED
            world.answers[UnpublishFirmware] = CommandAnswer(told)


async def run(skipping: Harness, world: World, controller: Controller) -> list[str]:
    """Update everybody behind it; where each fetched from."""
    campaign = await world.add_campaign([controller.others], world.plan(1, pace=PACE))
    await skipping.start(campaign)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    return [world.updates(name)[0][1].location for name in controller.others]


async def ended(skipping: Harness) -> Publication:
    handle = skipping.client.get_workflow_handle("local/c1/w0/site-0", result_type=Publication)
    async with skipping.env.time_skipping_unlocked():  # type: ignore[attr-defined]
        result: Publication = await handle.result()
        return result


PUBLISHES = (PublishStatus.DOWNLOADING, PublishStatus.CHECKSUM_VERIFIED, PublishStatus.PUBLISHED)


async def test_one_download_serves_the_site_and_is_taken_back_when_all_are_done(
    skipping: Harness, world: World
) -> None:
    controller = Controller(world, PUBLISHES)
    controller.refused = [AnswerStatus.DOWNLOAD_ONGOING]
    assert await run(skipping, world, controller) == [ADDRESS] * 3
    assert await ended(skipping) is Publication.ENDED
    [asked] = controller.asked
    assert asked.checksum == hashlib.md5(b"1.1", usedforsecurity=False).hexdigest()
    [ticket] = [row for row in world.tickets.rows if row.charger_id == controller.name]
    assert ticket.artifact_sha256 == sha256_hex(b"1.1")
    assert len(world.tickets.rows) == 1, "nobody else was given one"
    assert [each.checksum for each in controller.stopped] == [asked.checksum] * 2
    assert controller.open_when_stopped == [0, 0]
    for _, command in (world.updates(name)[0] for name in controller.others):
        assert command.signature, "it is proven and signed as ever"
    ends = {
        row.action: row.detail["reason"] for row in world.audit.rows if row.action.startswith("local_image.")
    }
    assert ends == {
        "local_image.published": "it offers it at one address",
        "local_image.ended": "it offers it no more",
    }


@pytest.mark.parametrize(
    ("trains", "asked"),
    [pytest.param([(word,)] * 3, 3, id=word.value) for word in sorted(PUBLISH_FAILURES)]
    + [
        pytest.param([], 1, id="silence"),
        pytest.param([(PublishStatus.DOWNLOADING,)], 1, id="stuck"),
    ],
)
async def test_a_controller_that_fails_or_is_silent_keeps_nobody_waiting_for_long(
    skipping: Harness, world: World, trains: list[tuple[PublishStatus, ...]], asked: int
) -> None:
    controller = Controller(world, *trains)
    places = await run(skipping, world, controller)
    assert ADDRESS not in places
    assert await ended(skipping) is Publication.FAILED
    assert len(controller.asked) == asked
    assert "local_image.failed" in world.audit.actions()


async def test_a_second_try_that_is_published_counts(skipping: Harness, world: World) -> None:
    controller = Controller(world, (PublishStatus.DOWNLOAD_FAILED,), PUBLISHES)
    assert await run(skipping, world, controller) == [ADDRESS] * 3
    assert len(controller.asked) == 2


async def test_a_controller_that_is_away_is_waited_for_until_the_deadline(
    skipping: Harness, world: World
) -> None:
    controller = Controller(world, PUBLISHES)
    world.unplug(controller.name)
    assert ADDRESS not in await run(skipping, world, controller)
    assert controller.asked == []
    assert world.publications.rows["c1", 0, "site-0"].reason == "it is not connected"


async def test_bytes_that_are_not_what_was_signed_go_to_no_controller(
    skipping: Harness, world: World
) -> None:
    controller = Controller(world, PUBLISHES)
    world.blobs.objects[sha256_hex(b"1.1")] = b"others"
    assert ADDRESS not in await run(skipping, world, controller)
    assert controller.asked == []


async def test_a_repetition_comes_to_us(skipping: Harness, world: World) -> None:
    controller = Controller(world, PUBLISHES)

    async def fetches_from_us(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if command.location == ADDRESS:
            await world.report(name, FirmwareStatus.DOWNLOAD_FAILED, command.request_id)
            return ACCEPTED
        return await good(world, name, command)

    world.default = fetches_from_us
    await run(skipping, world, controller)
    for name in controller.others:
        first, second = (command.location for _, command in world.updates(name))
        assert first == ADDRESS
        assert second != ADDRESS
