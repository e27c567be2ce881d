"""A charger with a past, and its passport by a key of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from signing.keys import ensure_key_file, file_address
from signing.notary import RECORD, RecordKeys
from signing.testimony import TestimonyDesk
from storage.artifact import Artifact, ArtifactPhase, SignOff, StagedRelease
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    Directive,
    Outcome,
    Target,
    TargetPhase,
    VerdictWord,
    WavePlan,
)
from storage.certificate import Certificate, CertificatePhase
from storage.charger import Charger, ChargerFilter
from storage.ownership import Move, MoveState
from storage.passport import Given, PassportFacts, PassportOrder, VersionSaid, passport_of
from storage.ports import ChargerView
from storage.retirement import PASSPORT, Retirement, RetirementState, receipt_key
from storage.twin import FirmwareSection, Lifecycle, TwinState
from tests.support.memory import MemoryBlobs

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ORDER = PassportOrder("p" * 64, "CP-1", "ada", "warranty claim 7")
IMAGE = "ab" * 32


def minutes(count: float) -> datetime:
    """So long after it began."""
    return AT + timedelta(minutes=count)


def target(wave: int = 0, *, outcome: Outcome = Outcome.UPDATED, to: str = "1.1") -> Target:
    """One update that is over."""
    return Target(
        "spring",
        wave,
        0,
        "CP-1",
        "depot",
        IMAGE,
        "1.0",
        to,
        TargetPhase.DONE,
        outcome,
        "it booted with 1.1 after the command",
        1,
        17,
        minutes(1),
        minutes(5),
    )


def given(one: Target) -> Given:
    """All that stood behind it."""
    plan = CampaignPlan("Spring", IMAGE, ChargerFilter(), (WavePlan("all", 1.0),))
    yes = Approval("bob", minutes(-5), "cd" * 32, "{}")
    return Given(
        one,
        Campaign("spring", plan, "cd" * 32, CampaignPhase.COMPLETED, "ann", minutes(-10), 1, (yes,)),
        Artifact(IMAGE, "volta", "1.1", 2, 4096, (), (), ArtifactPhase.RELEASED, "rita", minutes(-90)),
        StagedRelease(IMAGE, "volta", 4, b"{}", "ef" * 32, 2, ("k1", "k2", "k3")),
        (SignOff(IMAGE, "ef" * 32, "k1", "00", "carl", minutes(-60)),),
        Directive(
            "d1", "spring", 0, "cd" * 32, ("CP-1",), "volta/1.1/firmware.bin", IMAGE, 4096, "1.1", 2,
            (("Volta", "V22"),), minutes(-1), minutes(60), "n" * 32, (yes,),
        ),
        "12" * 32,
        (
            Decision(
                "spring", one.wave, 1, minutes(6), "gate", VerdictWord.PROCEED, "1 of 1 updated",
                {}, "aa" * 32, {}, "bb" * 32,
            ),
        ),
    )  # fmt: skip


def booted(sequence: int, version: str, at: datetime) -> VersionSaid:
    """A boot that told a version."""
    return VersionSaid(sequence, "charger_booted", version, at, at)


def facts(*, updates: int = 1, retired: bool = False) -> PassportFacts:
    """A charger that was moved, updated so often, given a certificate, and perhaps retired."""
    lifecycle = Lifecycle.RETIRED if retired else Lifecycle.ACTIVE
    charger = Charger("CP-1", "depot", "Volta", "V22", lifecycle, "SN-1", "B", minutes(-9000))
    return PassportFacts(
        ChargerView(charger, TwinState("CP-1", firmware=FirmwareSection("1.1", "1.0", minutes(4)))),
        [given(target(wave)) for wave in range(updates)],
        older_updates=False,
        certificates=[
            Certificate(
                "CP-1", "0A", "cc" * 32, "dd" * 32, "PEM", AT, minutes(600_000), AT, "sam",
                CertificatePhase.PROVEN, minutes(1), minutes(2),
            )
        ],
        moves=[
            Move(
                "m1", "CP-1", 1, {"site_id": "depot"}, "olga", "a new tenant", minutes(-80), MoveState.DONE,
                {"site_id": "yard"}, finished_at=minutes(-79),
            )
        ],
        said=[booted(9, "1.1", minutes(4)), booted(3, "1.0", minutes(-200)), booted(2, "1.0", minutes(-300))],
        retirement=Retirement(
            "CP-1", "sam", "sold", minutes(90), minutes(95), RetirementState.RECEIPTED,
            finished_at=minutes(93), receipt_sha256="99" * 32,
        )
        if retired
        else None,
    )  # fmt: skip


async def signed_passport(folder: Path, told: PassportFacts) -> bytes:
    """Its passport, by the record key of this folder, whose public half lies there as well."""
    ensure_key_file(folder / f"{RECORD}.pem")
    keys = RecordKeys(file_address(folder / f"{RECORD}.pem"), RecordKeys.in_folder(folder).public)
    blobs = MemoryBlobs()
    sha256 = await TestimonyDesk(blobs, lambda: keys).testify(PASSPORT, passport_of(told, ORDER, minutes(99)))
    return (await blobs.get(receipt_key(sha256), limit=10**7))[0]
