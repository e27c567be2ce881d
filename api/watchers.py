"""What watches the fleet and the watchdog itself, put together from the stores of ``bootstrap``."""

from datetime import timedelta

from api.bootstrap import Stores
from api.retention import session_days
from api.settings import Settings
from csms.canary import Canary, CanaryOptions, CanaryStores
from csms.frames import OCPP16
from csms.gateway import DIALECTS, Gateway
from storage.charger import stale_after
from storage.clock import system_clock
from storage.privacy import Keeping
from workflows.observer import Observer, ObserverPace, ObserverStores


def canary(settings: Settings, stores: Stores, gateway: Gateway) -> Canary:
    """The synthetic silent charger of a node."""
    return Canary(
        gateway.watching.tools,
        DIALECTS[OCPP16],
        gateway.watching.silence,
        CanaryStores(stores.events, stores.watch.incidents),
        CanaryOptions(settings.node_id, settings.csms_watchdog_check_s),
    )


def observer(settings: Settings, stores: Stores) -> Observer:
    """Session records, health hours, doubts and outages."""
    watch = stores.watch
    reads = ObserverStores(
        stores.events,
        watch.projections,
        watch.incidents,
        watch.health,
        stores.trust,
        watch.service,
        stores.privacy,
    )
    days = (timedelta(days=each) for each in (session_days(settings), settings.id_token_kept_days))
    return Observer(
        reads,
        system_clock,
        ObserverPace(keeping=Keeping(*days), stale_after=stale_after(settings.csms_heartbeat_interval_s)),
    )
