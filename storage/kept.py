"""What an update must leave as it was: settings and trust, noted before and compared after (X9). Pure.

Operators report chargers that forget their settings with an update. What people set is put back; what decides
whom a charger trusts and where it connects is never put back by a machine: it ends the attempt as failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from storage.campaign import Outcome
from storage.certificate_use import ROOT_USES, InstalledCertificate
from storage.drift import same
from storage.twin import TwinState

SETTINGS = frozenset(
    {
        # OCPP 1.6 section 9, those that are read and written; CpoName is the security whitepaper's.
        "AllowOfflineTxForUnknownId",
        "AuthorizationCacheEnabled",
        "AuthorizeRemoteTxRequests",
        "ClockAlignedDataInterval",
        "ConnectionTimeOut",
        "ConnectorPhaseRotation",
        "CpoName",
        "HeartbeatInterval",
        "LocalAuthListEnabled",
        "LocalAuthorizeOffline",
        "LocalPreAuthorize",
        "MaxEnergyOnInvalidId",
        "MeterValueSampleInterval",
        "MeterValuesAlignedData",
        "MeterValuesSampledData",
        "MinimumStatusDuration",
        "ResetRetries",
        "StopTransactionOnEVSideDisconnect",
        "StopTransactionOnInvalidId",
        "StopTxnAlignedData",
        "StopTxnSampledData",
        "TransactionMessageAttempts",
        "TransactionMessageRetryInterval",
        "UnlockConnectorOnEVSideDisconnect",
        "WebSocketPingInterval",
        # OCPP 2.0.1 part 2, 2: referenced components and variables, read and written.
        "AlignedDataCtrlr.Interval",
        "AlignedDataCtrlr.Measurands",
        "AlignedDataCtrlr.TxEndedInterval",
        "AlignedDataCtrlr.TxEndedMeasurands",
        "AuthCacheCtrlr.DisablePostAuthorize",
        "AuthCacheCtrlr.Enabled",
        "AuthCacheCtrlr.LifeTime",
        "AuthCacheCtrlr.Policy",
        "AuthCtrlr.AuthorizeRemoteStart",
        "AuthCtrlr.DisableRemoteAuthorization",
        "AuthCtrlr.Enabled",
        "AuthCtrlr.LocalAuthorizeOffline",
        "AuthCtrlr.LocalPreAuthorize",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled",
        "LocalAuthListCtrlr.DisablePostAuthorize",
        "LocalAuthListCtrlr.Enabled",
        "OCPPCommCtrlr.HeartbeatInterval",
        "OCPPCommCtrlr.OfflineThreshold",
        "OCPPCommCtrlr.ResetRetries",
        "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
        "OCPPCommCtrlr.WebSocketPingInterval",
        "SampledDataCtrlr.TxEndedInterval",
        "SampledDataCtrlr.TxEndedMeasurands",
        "SampledDataCtrlr.TxStartedMeasurands",
        "SampledDataCtrlr.TxUpdatedInterval",
        "SampledDataCtrlr.TxUpdatedMeasurands",
        "SecurityCtrlr.OrganizationName",
        "SmartChargingCtrlr.Enabled",
        "SmartChargingCtrlr.LimitChangeSignificance",
        "TxCtrlr.EVConnectionTimeOut",
        "TxCtrlr.MaxEnergyOnInvalidId",
        "TxCtrlr.StopTxOnEVSideDisconnect",
        "TxCtrlr.StopTxOnInvalidId",
        "TxCtrlr.TxStartPoint",
        "TxCtrlr.TxStopPoint",
    }
)
TRUST = frozenset(
    {
        "AdditionalRootCertificateCheck",
        "CentralSystemURL",
        "SecurityProfile",
        "OCPPCommCtrlr.NetworkConfigurationPriority",
        "SecurityCtrlr.AdditionalRootCertificateCheck",
        "SecurityCtrlr.Identity",
        "SecurityCtrlr.SecurityProfile",
    }
)
"""Whom it trusts and where it connects."""
LISTS = frozenset({"LocalAuthListEnabled", "LocalAuthListCtrlr.Enabled"})
"""Who has one of these has a local list whose version can be asked for."""
ENTRIES = "LocalAuthListCtrlr.Entries"
"""How many are on it (2.x); read only."""

RUNS_IT = frozenset({Outcome.UPDATED, Outcome.ALREADY_CURRENT})
"""Whose books say that it runs the version: what was noted of it is compared, then or later."""
OWED = "its settings have not been compared yet"
"""In the reason of a target that counts, until somebody could compare (``KeptStore.settle``)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a charger was before an update. ``values``: of the names above, as far as they were known."""

    campaign_id: str
    wave: int
    charger_id: str
    taken_at: datetime
    values: Mapping[str, str]
    profile: int
    roots: tuple[str, ...]
    """As in ``SecuritySection.roots``; (): never listed, so nothing to compare with."""
    local_list: int | None = None
    """The version of its local list of who may charge; None: it did not tell (F64)."""

    @property
    def empty(self) -> bool:
        """Whether nothing of it is known that could be compared."""
        return not (self.values or self.roots or self.profile)


@dataclass(frozen=True, slots=True)
class Owed:
    """A target that counts as updated, of which nobody has compared yet what was noted."""

    campaign_id: str
    wave: int
    charger_id: str
    version: str
    """Of its order."""
    sent: bool
    """Whether that order was sent at all."""
    since: datetime
    """When it was counted."""
    tries: int = 0
    """How often it was asked since."""
    next_at: datetime | None = None
    """Not to be asked again before."""


@dataclass(frozen=True, slots=True)
class SetSince:
    """What we told a charger to be since something was noted of it, by whomever."""

    values: Mapping[str, frozenset[str]]
    """Variable or key -> every value: the last may be one of ours that was held back."""
    roots: bool = False
    """Roots were installed or deleted."""
    local_list: bool = False
    order: bool = False
    """An order is among it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What an update left otherwise."""

    settings: Mapping[str, str]
    """To be put back, and to which value."""
    trust: tuple[str, ...] = ()
    """What no machine puts back, in words."""
    access: tuple[str, ...] = ()
    """What was lost of who may charge, in words: a list is not ours to send again (F64)."""


def before(campaign_id: str, wave: int, twin: TwinState, at: datetime) -> Kept:
    """What is known of a charger now."""
    known = twin.configuration.values if twin.configuration else {}
    values = {name: value for name, value in known.items() if name in SETTINGS | TRUST | {ENTRIES}}
    security = twin.security
    return Kept(
        campaign_id,
        wave,
        twin.charger_id,
        at,
        values,
        security.profile if security else 0,
        security.roots if security else (),
    )


def compare(
    kept: Kept,
    told: Mapping[str, str],
    profile: int,
    roots: Sequence[str] | None,
    local_list: int | None = None,
) -> Difference:
    """What is otherwise now. What the charger did not tell is not compared; None: nor are those."""
    changed = {
        name: value for name, value in kept.values.items() if name in told and not same(value, told[name])
    }
    trust = [
        f"{name} was {value!r} and is {told[name]!r}" for name, value in changed.items() if name in TRUST
    ]
    if profile < kept.profile:
        trust.append(f"it connects with security profile {profile} instead of {kept.profile}")
    if roots is not None and kept.roots:
        trust += [f"the root {root} is gone" for root in sorted(set(kept.roots) - set(roots))]
        trust += [f"the root {root} is new" for root in sorted(set(roots) - set(kept.roots))]
    settings = {name: value for name, value in changed.items() if name in SETTINGS}
    return Difference(settings, tuple(trust), _lost(kept, told, local_list))


def left_alone(kept: Kept, since: SetSince) -> tuple[Kept, tuple[str, ...]]:
    """What is left to compare once others set some of it, and the names of what they set.

    A value that was only ever set to what it was is ours to put back: that is what an earlier try did.
    """
    told = [(name.casefold(), value) for name, values in since.values.items() for value in values]
    names = {
        name
        for name, value in kept.values.items()
        # 1.6: keys are CiStrings.
        if any(name.casefold() == other and not same(value, theirs) for other, theirs in told)
    }
    if since.local_list:
        names |= {ENTRIES} & kept.values.keys()
    values = {name: value for name, value in kept.values.items() if name not in names}
    left = replace(kept, values=values, roots=() if since.roots else kept.roots)
    if since.local_list:
        left = replace(left, local_list=None)
    return left, tuple(sorted(names))


def _lost(kept: Kept, told: Mapping[str, str], local_list: int | None) -> tuple[str, ...]:
    """A version only ever rises (D01): a higher one was sent since, and no update did that."""
    lost = []
    had = kept.local_list or 0  # An empty list that is none by now was nobody's loss.
    if had > 0 and local_list is not None and local_list < had:
        lost.append(f"its local list had version {kept.local_list} and has {local_list}")
    were, are = kept.values.get(ENTRIES, ""), told.get(ENTRIES, "")
    if (
        were.isdecimal()
        and are.isdecimal()
        and int(are) < int(were)
        and local_list in (None, kept.local_list)
    ):
        lost.append(f"its local list had {were} entries and has {are}")
    return tuple(lost)


def roots_in(certificates: Iterable[InstalledCertificate]) -> tuple[str, ...]:
    """The roots in a charger's list, named as the twin names them."""
    return tuple(
        sorted(
            f"{each.use.value}/{each.hash.issuer_key_hash}/{each.hash.serial_number}"
            for each in certificates
            if each.use in ROOT_USES
        )
    )


class KeptStore(Protocol):
    """What chargers were before the updates that are under way."""

    async def keep(self, kept: Kept) -> None:
        """The first of a charger in a wave stands: a later attempt may find what an earlier one spoilt."""

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        """None: nothing was known that could be compared."""

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        """Its update is over."""

    async def owed(self, at: datetime, *, limit: int) -> Sequence[Owed]:
        """Of whom something is noted and whose target counts all the same, who may be asked by then.

        Nobody on whom somebody works. Those with a route first: the others cannot be asked. Of these, and of
        those, whoever was looked at longest ago.
        """

    async def looked_at(self, owed: Sequence[Owed], at: datetime) -> None:
        """Others come first in the next round; whoever may not be asked before a later time stays so."""

    async def count_try(self, owed: Owed, next_at: datetime) -> None:
        """It is about to be asked; not again before ``next_at``."""

    async def settle(self, owed: Owed, words: str, *, spoilt: bool = False) -> None:
        """Say in its target's reason what became of it, and forget the row.

        ``spoilt``: the row stays, no more to be compared, until its campaign is over: gates count it.
        """

    async def spoilt(self, campaign_id: str, wave: int) -> frozenset[str]:
        """Who was found otherwise, and could not be put back, once it had counted."""

    async def set_since(self, charger_id: str, at: datetime) -> Sequence[str]:
        """The frames that left for it since which set or order something, oldest first, without secrets."""

    async def reaches(self, charger_id: str, at: datetime) -> bool:
        """Whether the journal still has what went to and fro around that time, while it was asked."""

    async def sweep(self) -> int:
        """Forget what nobody needs any more, of chargers on whom nobody works. Returns how many."""
