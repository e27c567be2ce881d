"""What a node watches of its own chargers, and how what was found gets among their events."""

from csms.inbound import SessionTools
from csms.registry import SessionRegistry
from csms.silence import SilenceRule, SilenceWatch
from storage.findings import Finding


class NodeWatch:
    """The watch over silence, the keeper of findings, and what a synthetic charger needs.

    Implements ``csms.ports.FindingKeeper`` for the chargers whose sockets this node holds.
    """

    def __init__(self, registry: SessionRegistry, tools: SessionTools, rule: SilenceRule) -> None:
        self._registry = registry
        self.tools = tools
        self.silence = SilenceWatch(tools.clock, tools.heartbeat_interval_s, rule)

    async def keep(self, charger_id: str, session_epoch: int, finding: Finding) -> None:
        """Return once it is committed. Raises NotConnectedHere, EngineUnavailable."""
        journal = self._registry.held(charger_id, session_epoch).journal
        await (await journal.put([], [journal.event(finding, self.tools.clock())]))
