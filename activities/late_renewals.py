"""An alarm for each certificate that ends soon and is not renewed: with its reason, and closed by itself."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity

from activities.errors import mapped
from activities.renewals import RenewalRules
from activities.stores import Stores
from storage.certificate import CertificateStore, Expiry, RequestFilter, RequestState
from storage.incident import IncidentChange, IncidentKind
from storage.late_renewal import LateCharger, lateness
from storage.renewal import RenewalStore
from storage.twin import busy_reason
from storage.watching import IncidentStore

MOST = 500
"""Incidents about certificates; of more, those that end first."""
_GIVEN = timedelta(days=7)
_ASKED = timedelta(days=30)


class LateRenewalActivities:
    """On any worker."""

    def __init__(
        self,
        stores: Stores,
        certificates: CertificateStore,
        renewals: RenewalStore,
        incidents: IncidentStore,
        rules: RenewalRules,
    ) -> None:
        self._stores = stores
        self._certificates = certificates
        self._renewals = renewals
        self._incidents = incidents
        self._rules = rules

    @activity.defn
    @mapped
    async def watch_late_renewals(self) -> int:
        """Open and close incidents about certificates that near their end; how many are late."""
        now, kind = self._stores.clock(), IncidentKind.CERTIFICATE_ENDING
        late = await self._late() if self._rules.alarm else []
        opened = await self._incidents.find(kind=kind, limit=2 * MOST)
        due: dict[str, IncidentChange] = {}
        for each in late:
            found = lateness(each, now)
            detail = {"not_after": each.not_after.isoformat(), "why": found.why}
            subject = f"charger/{each.charger_id}/certificate/{found.keeper.value}"
            due[subject] = IncidentChange(kind, subject, now, found.summary, detail)
        over = [
            IncidentChange(kind, each.subject, now, close=True) for each in opened if each.subject not in due
        ]
        known = {each.subject for each in opened}
        await self._incidents.apply([*over, *(each for each in due.values() if each.subject not in known)])
        return len(due)

    async def _late(self) -> Sequence[LateCharger]:
        """Whoever nears the end of the certificate that it last came with, with what is known of it."""
        stores, now = self._stores, self._stores.clock()
        ending = await self._ending()
        names = [each.charger_id for each in ending]
        given = await self._certificates.given_since(names, now - _GIVEN)
        still = await self._renewals.standing_still(names)
        last = await self._renewals.whys(names)
        halt = await stores.halts.standing()
        refused = await self._refused(names)
        views = {view.charger.charger_id: view for view in await stores.chargers.views(names)}
        return [
            LateCharger(
                charger_id=name,
                not_after=each.not_after,
                lifecycle=views[name].charger.lifecycle,
                online=each.online,
                by_itself=self._rules.enabled,
                halt=halt.reason if halt else "",
                still=still.get(name),
                given=name in given,
                refused=refused.get(name, ()),
                busy=busy_reason(views[name].twin.operation, now) or "",
                last=last.get(name, ""),
            )
            for each in ending
            if (name := each.charger_id) in views
        ]

    async def _ending(self) -> Sequence[Expiry]:
        """Those that end next, and as many of those that ended as there is room for."""
        now = self._stores.clock()
        ahead = await self._certificates.ending(now, now + self._rules.alarm, limit=MOST)
        room = MOST - len(ahead.items)
        ended = await self._certificates.expiries(now, limit=room) if room else []
        return [*ahead.items, *ended]

    async def _refused(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Whose newest request was refused, and why."""
        wanted = RequestFilter(
            tuple(names), since=self._stores.clock() - _ASKED, newest=True, of_station=True
        )
        found = await self._certificates.find_requests(wanted, limit=MOST)
        return {
            each.charger_id: each.reasons for each in found.items if each.answered is RequestState.REFUSED
        }
