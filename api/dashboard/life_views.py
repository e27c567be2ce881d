"""What the pages of chargers' lives show, worked out from nouns. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from activities.renewals import RenewalRules, due_at
from api.auth import PERMISSIONS, Permission, may
from api.dashboard.views import Segment
from storage.access import Principal
from storage.certificate import EndCount, Expiry, RequestFilter, RequestState
from storage.provisioning import Enrolment, EnrolmentState
from storage.renewal import WORK_WORDS, FleetWork, RenewalOutcome, RenewalPhase, StandingStill, outcome_word
from storage.retirement import Retirement, RetirementState, Wiped


class Step(StrEnum):
    """By what the expiry calendar counts."""

    WEEK = "week"
    MONTH = "month"


AHEAD = {Step.WEEK: timedelta(days=26 * 7), Step.MONTH: timedelta(days=400)}
"""How far each looks."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One line of the calendar: the certificates that end in it, and when they are renewed by themselves."""

    title: str
    since: date | None
    """None: whatever ended before."""
    until: date
    count: int
    online: int
    issuers: tuple[tuple[str, int], ...]
    """Issuer and count, the most first."""
    renewed_from: date | None
    """From when on their own renewals begin; None: nobody begins one."""
    bar: tuple[Segment, ...] = ()

    @property
    def late(self) -> bool:
        """Whether they have ended."""
        return self.since is None


def calendar(
    counts: Sequence[EndCount], ended: Sequence[EndCount], now: datetime, step: Step, rules: RenewalRules
) -> tuple[Bucket, ...]:
    """What has ended, then week by week or month by month. ``counts`` holds ``ended``, too."""
    gone = {(each.day, each.issuer): each for each in ended}
    ahead = [_without(each, gone.get((each.day, each.issuer))) for each in counts]
    first = rules.before + rules.jitter
    found: list[Bucket] = []
    if ended:
        found.append(_bucket("Ended", None, now.date(), ended, None))
    groups: dict[date, list[EndCount]] = {}
    for each in ahead:
        if each.count:
            groups.setdefault(_start(each.day, step), []).append(each)
    for start, members in sorted(groups.items()):
        until = _next(start, step)
        begins = start - first if rules.enabled else None
        found.append(_bucket(_title(start, step), start, until, members, begins))
    return _with_bars(found, now.date())


def _without(each: EndCount, gone: EndCount | None) -> EndCount:
    if gone is None:
        return each
    return EndCount(each.day, each.issuer, each.count - gone.count, each.online - gone.online)


def _bucket(
    title: str, since: date | None, until: date, members: Iterable[EndCount], renewed: date | None
) -> Bucket:
    issuers: dict[str, int] = {}
    count = online = 0
    for each in members:
        issuers[each.issuer] = issuers.get(each.issuer, 0) + each.count
        count += each.count
        online += each.online
    ranked = tuple(sorted(issuers.items(), key=lambda item: (-item[1], item[0])))
    return Bucket(title, since, until, count, online, ranked, renewed)


def _with_bars(found: Sequence[Bucket], today: date) -> tuple[Bucket, ...]:
    most = max((each.count for each in found), default=1)
    return tuple(
        Bucket(
            each.title,
            each.since,
            each.until,
            each.count,
            each.online,
            each.issuers,
            each.renewed_from,
            (Segment(_tone(each, today), "certificates", each.count, 0.0, 100 * each.count / most),),
        )
        for each in found
    )


def _tone(each: Bucket, today: date) -> str:
    if each.late:
        return "failed"
    return "waiting" if each.renewed_from is None or each.renewed_from <= today else "updated"


def _start(day: date, step: Step) -> date:
    return day.replace(day=1) if step is Step.MONTH else day - timedelta(days=day.weekday())


def _next(start: date, step: Step) -> date:
    if step is Step.WEEK:
        return start + timedelta(days=7)
    return (start + timedelta(days=32)).replace(day=1)


def _title(start: date, step: Step) -> str:
    return start.strftime("%B %Y") if step is Step.MONTH else f"Week of {start.isoformat()}"


@dataclass(frozen=True, slots=True)
class EndRow:
    """One charger in the calendar, and what becomes of its certificate."""

    expiry: Expiry
    late: bool
    renewal: str
    """When it is renewed, in words."""


@dataclass(frozen=True, slots=True)
class Hands:
    """In whose hands chargers are."""

    at_work: frozenset[str] = frozenset()
    """In some job that is not over."""
    still: Mapping[str, StandingStill] = field(default_factory=dict)
    """In one that stands still, and in no other."""


def end_rows(found: Sequence[Expiry], hands: Hands, now: datetime, rules: RenewalRules) -> tuple[EndRow, ...]:
    """In the same order."""
    return tuple(EndRow(each, each.not_after < now, _renewal(each, hands, now, rules)) for each in found)


def _renewal(each: Expiry, hands: Hands, now: datetime, rules: RenewalRules) -> str:
    still = hands.still.get(each.charger_id)
    if still is not None:
        stands = f"in {still.name!r}, which is {still.phase.value}"
        if not rules.enabled:
            return stands
        pressing = each.not_after - rules.pressing
        when = f"from {pressing.date().isoformat()}" if pressing > now else "once it is connected"
        return f"{stands}; by itself {when}"
    if each.charger_id in hands.at_work:
        return "in a renewal now"
    if not rules.enabled:
        return "only if somebody starts it"
    due = due_at(each.charger_id, each.not_after, rules)
    if due > now:
        return f"by itself from {due.date().isoformat()}"
    return "due: with the next renewal, once it is connected"


_LATELY = timedelta(days=30)


def refused_lately(now: datetime) -> RequestFilter:
    """Chargers whose newest signing request was refused: one that asked again with success needs nobody."""
    return RequestFilter(states=frozenset({RequestState.REFUSED}), since=now - _LATELY, newest=True)


@dataclass(frozen=True, slots=True)
class NextStep:
    """What moves a charger in the queue on, and who may."""

    words: str
    attest: tuple[str, ...] = ()
    """Lines of the checklist that a person may vouch for."""
    may_look: bool = False
    may_attest: bool = False
    needs: str = ""
    """Roles that could, where this person may not."""


_WORDS = {
    EnrolmentState.REGISTERED: "Connect it with its first password, or hand its installer a claim.",
    EnrolmentState.CLAIMED: "Its installer connects it with the password that the claim brought.",
    EnrolmentState.PARKED: "It is given a credential of its own at the next look.",
    EnrolmentState.CREDENTIAL_PENDING: "It comes back by itself with its new credential.",
    EnrolmentState.PROVED: "Its template is written to it at the next look.",
    EnrolmentState.CONFIGURED: "Every line of its checklist has to pass.",
    EnrolmentState.CHECKED: "It goes into service at the next look.",
}
_VOUCHED = ("connectors", "metering", "monitoring")


def next_step(enrolment: Enrolment, reader: Principal) -> NextStep:
    """For one line of the queue, as this person sees it."""
    attest = tuple(
        each.name.removeprefix("attested:")
        for each in enrolment.checks
        if not each.passed and (each.name.startswith("attested:") or each.name in _VOUCHED)
    )
    wanted = Permission.CHARGER_ATTEST if attest else Permission.CHARGER_OPERATE
    able = "" if may(reader, wanted) else roles_with(wanted)
    return NextStep(
        _WORDS.get(enrolment.state, ""),
        attest,
        may(reader, Permission.CHARGER_OPERATE),
        bool(attest) and may(reader, Permission.CHARGER_ATTEST),
        able,
    )


def roles_with(permission: Permission) -> str:
    """Who may, in words."""
    return ", ".join(role.value.replace("_", " ") for role, held in PERMISSIONS.items() if permission in held)


WORK = WORK_WORDS
PHASE_TONES = {
    RenewalPhase.RUNNING: "running",
    RenewalPhase.PAUSED: "paused",
    RenewalPhase.HELD: "hold",
    RenewalPhase.COMPLETED: "completed",
    RenewalPhase.ABORTED: "aborted",
}
OPEN = "open"
_COUNTED = (
    (RenewalOutcome.RENEWED, "updated"),
    (RenewalOutcome.TAKEN, "already_current"),
    (RenewalOutcome.REFUSED, "failed"),
    (RenewalOutcome.FAILED, "failed"),
    (RenewalOutcome.LOST, "silent"),
    (RenewalOutcome.DEFERRED, "deferred"),
    (RenewalOutcome.RESCHEDULED, "deferred"),
    (OPEN, "pending"),
)


def outcome_label(outcome: RenewalOutcome | None, work: FleetWork) -> str:
    """What became of a charger, as that work calls it."""
    return outcome_word(work, outcome) if outcome else "to come"


def outcome_bar(counts: dict[str, int], work: FleetWork) -> tuple[Segment, ...]:
    """Chargers of a job by what became of them."""
    total, start, found = sum(counts.values()), 0.0, []
    for outcome, tone in _COUNTED:
        name = str(outcome)
        if count := counts.get(name, 0):
            label = outcome_label(None if name == OPEN else RenewalOutcome(name), work)
            share = 100 * count / total
            found.append(Segment(tone, label, count, round(start, 3), round(share, 3)))
            start += share
    return tuple(found)


def steps_open_to(phase: RenewalPhase) -> tuple[str, ...]:
    """Which acts a renewal takes in this phase."""
    return {
        RenewalPhase.RUNNING: ("pause", "abort"),
        RenewalPhase.PAUSED: ("resume", "abort"),
        RenewalPhase.HELD: ("resume", "abort"),
    }.get(phase, ())


def retirement_tone(found: Retirement) -> str:
    """A word that has the state's colour."""
    if found.state is not RetirementState.RECEIPTED:
        return "running"
    return {Wiped.WIPED: "completed", Wiped.PARTLY: "paused", Wiped.UNWIPED: "failed"}[found.wiped]
