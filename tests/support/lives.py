"""Chargers at every point of their lives, for the pages that show them."""

from dataclasses import replace
from datetime import timedelta

from storage.canonical import sha256_hex
from storage.certificate import Expiry, RequestState, SigningRequest
from storage.desired import DesiredChange
from storage.drift import Drift, DriftState
from storage.provisioning import CheckResult, Enrolment, EnrolmentState, Origin
from storage.renewal import FleetWork, Renewal, RenewalOutcome, RenewalPhase, RenewalPlan
from storage.retirement import (
    WIPES,
    Retirement,
    RetirementState,
    Step,
    StepRecord,
    StepState,
    receipt_key,
)
from storage.twin import Lifecycle
from storage.twin_schema import TERMS, Severity
from tests.support.house import House

EVIL = "<script>alert('x')</script>"
OURS = "5c" * 32
RECEIPT = b'{"payloadType":"application/vnd.ampwave.retirement-receipt+json"}'


async def lives(house: House, count: int = 30) -> House:
    """Certificates of ``count`` chargers, renewals, a queue, one set aside, and two that ended."""
    now = house.now
    house.certificates.ends = [
        Expiry(
            f"CP-{n:04}", f"site-{n % 7}", f"{n:024X}", now + timedelta(days=n * 6 % 380 - 9, hours=n % 20),
            n % 3 > 0, OURS if n % 4 else "",
        )
        for n in range(count)
    ]  # fmt: skip
    house.certificates.requests = [
        SigningRequest(
            7, "CP-0002", "-", None, None, now - timedelta(hours=3), RequestState.REFUSED,
            (f"its common name is '{EVIL}', and the charger that asks is CP-0002", "its key is RSA 1024"),
        )
    ]  # fmt: skip
    terms = {"pricing_policy": f"tariff/night {EVIL}", "access_policy": "members/v12"}
    await house.twins.set_desired(DesiredChange("CP-0001", TERMS, terms, 0, "ada", "describe", now))
    await _renewals(house)
    _queue(house, count)
    await house.chargers.set_lifecycle("CP-0003", Lifecycle.QUARANTINED)
    await house.chargers.set_lifecycle("CP-0004", Lifecycle.QUARANTINED)
    doubt = Drift(
        "CP-0003", "firmware.version", Severity.CRITICAL, None, f"6.6.6 {EVIL}", 0, DriftState.OPEN,
        now, now, suspicion="no campaign sent it",
    )  # fmt: skip
    house.twins.all_drifts.append(doubt)
    await _ends(house)
    return house


async def _renewals(house: House) -> None:
    names = sorted(house.chargers.all)[:14]
    for number, (work, phase, reason) in enumerate(
        (
            (FleetWork.RENEW, RenewalPhase.HELD, f"3 of 10 failed in wave 2 {EVIL}"),
            (FleetWork.INSTALL_ROOT, RenewalPhase.COMPLETED, "every charger lists the new root"),
            (FleetWork.RAISE_PROFILE, RenewalPhase.PAUSED, "the depot is being rebuilt"),
        )
    ):
        plan = RenewalPlan(f"Autumn {number} {EVIL}", canary=1, growth=5, work=work)
        new = Renewal(f"r-{number}", plan, phase, reason, "sam", house.now, len(names), 0)
        await house.renewals.create(new, names)
        lines = house.renewals.lines[f"r-{number}"]
        for line in lines[:6]:
            outcome = RenewalOutcome.FAILED if line.ordinal == 3 else RenewalOutcome.RENEWED
            why = f"no proof came {EVIL}" if outcome is RenewalOutcome.FAILED else "it came with it"
            lines[line.ordinal] = replace(
                line, outcome=outcome, reason=why, serial="AB" * 12, attempts=1, finished_at=house.now
            )
        row = house.renewals.rows[f"r-{number}"]
        house.renewals.rows[f"r-{number}"] = replace(row, counts={"renewed": 5, "failed": 1, "open": 8})


def _queue(house: House, count: int) -> None:
    assert house.services.enrolments is not None
    rows = house.services.enrolments.rows  # type: ignore[attr-defined]  # the double's
    states = (EnrolmentState.REGISTERED, EnrolmentState.CONFIGURED, EnrolmentState.CREDENTIAL_PENDING)
    waits = ("it is not connected", f"attested:rcd-test: nobody attested it {EVIL}", "it has not come back")
    for n in range(count):
        at = house.now - timedelta(hours=count - n)
        state = states[n % 3]
        checks = (
            CheckResult("connectivity", passed=True, detail="passed", at=at),
            CheckResult("attested:rcd-test", passed=False, detail="nobody attested it", at=at),
        )
        rows[f"NEW-{n:05}"] = Enrolment(
            f"NEW-{n:05}", Origin.BULK, "ada", at, at + timedelta(days=30), "production", state=state,
            waits_for=waits[n % 3],
            checks=checks if state is EnrolmentState.CONFIGURED else (),
        )  # fmt: skip


async def _ends(house: House) -> None:
    store, at = house.services.retirements, house.now - timedelta(days=2)
    assert store is not None
    await store.open(Retirement("CP-0005", "sam", f"sold {EVIL}", at, at + timedelta(days=1)))
    await store.wait("CP-0005", "its session is over")
    await store.open(Retirement("CP-0006", "sam", "scrapped", at, at + timedelta(days=1)))
    for step in WIPES:
        state = StepState.DONE if step is not Step.ROOTS else StepState.UNREACHED
        await store.note("CP-0006", StepRecord(step, state, f"Accepted {EVIL}", at))
    sha256 = sha256_hex(RECEIPT)
    await house.blobs.put_bytes(receipt_key(sha256), RECEIPT)
    rows = store.rows  # type: ignore[attr-defined]  # the double's
    rows["CP-0006"] = replace(
        rows["CP-0006"], state=RetirementState.RECEIPTED, receipt_sha256=sha256, finished_at=at
    )
