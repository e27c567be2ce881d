"""How a charger speaks: its words, in its dialect, with its habits, put into its outbox."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from csms.simulator.ledger import ChargerLedger
from csms.simulator.outbox import Outbox, Outgoing
from csms.simulator.personality import Dialect, Personality
from csms.simulator.wire import Message, Payload, Plug, Reading, Session, Wire, stamp
from csms.simulator.wire2x import Wire2x
from csms.simulator.wire16 import Wire16
from csms.simulator.words import EndReason, FirmwareWord, PlugWord, SecurityWord

WIRES: dict[Dialect, Wire] = {
    Dialect.OCPP16: Wire16(),
    Dialect.OCPP201: Wire2x(),
    Dialect.OCPP21: Wire2x(),
}


class Voice:
    """Everything a charger says of its own accord. ``now`` is the charger's clock, which may be wrong."""

    def __init__(
        self, personality: Personality, account: ChargerLedger, outbox: Outbox, now: Callable[[], datetime]
    ) -> None:
        self.wire = WIRES[personality.dialect]
        self.outbox = outbox
        self.now = now
        self.online = False
        self._personality = personality
        self._account = account

    def timestamp(self) -> str:
        """Now, as this charger writes it."""
        return stamp(self.now(), self._personality.time_style)

    def say(self, message: Message) -> None:
        """Anything that waits for a connection, but not over a restart."""
        self.outbox.put(Outgoing(lambda: message))

    def say_if(self, message: Message | None) -> None:
        """The same, where the dialect has such a message."""
        if message:
            self.say(message)

    def plug(self, plug: Plug) -> None:
        """What an outlet shows."""
        self.say(self.wire.status(plug, self.timestamp()))

    def station(self, word: PlugWord) -> None:
        """What the charger as a whole shows, where the dialect has a place for it."""
        self.say_if(self.wire.station_status(word, self.timestamp()))

    def firmware(self, word: FirmwareWord, request_id: int | None) -> None:
        """How an update goes, unless this personality keeps quiet about it."""
        if word not in self._personality.omits:
            told = -1 if self._personality.forgets_request and request_id is not None else request_id
            self.say(self.wire.firmware_status(word, told))

    def security(self, word: SecurityWord, detail: str = "") -> None:
        """A security event."""
        self._account.note(f"security_event_{word.value}")
        self.say(self.wire.security_event(word.value, self.timestamp(), detail))

    async def authorize(self, id_tag: str, timeout_s: float) -> bool:
        """Ask whether this card may charge; without a connection it may."""
        if not self.online:
            return True
        answered: asyncio.Future[Payload | None] = asyncio.get_running_loop().create_future()
        message = self.wire.authorize(id_tag)
        self.outbox.put(Outgoing(lambda: message, asks=True, on_answer=partial(_resolve, answered)))
        try:
            async with asyncio.timeout(timeout_s):
                payload = await answered
        except TimeoutError:
            return True
        return payload is None or self.wire.authorized(payload)

    def reading(self, session: Session) -> Reading:
        """The session's meter now, numbered."""
        return Reading(self.timestamp(), session.meter_wh, session.next_seq(), offline=not self.online)

    def started(self, session: Session) -> None:
        """The session began; 1.6 learns its number from the answer."""

        def learn(payload: Payload | None) -> None:
            session.server_id = (payload or {}).get("transactionId")

        build = partial(self.wire.started, session, self.reading(session))
        self.outbox.put(Outgoing(build, durable=True, on_answer=learn))

    def metered(self, session: Session) -> None:
        """The session goes on."""
        build = partial(self.wire.metered, session, self.reading(session))
        self.outbox.put(Outgoing(build, durable=True))

    def ended(self, session: Session, reason: EndReason) -> None:
        """The session ended."""
        build = partial(self.wire.ended, session, self.reading(session), reason)
        self.outbox.put(Outgoing(build, durable=True))


def _resolve(answered: "asyncio.Future[Payload | None]", payload: Payload | None) -> None:
    if not answered.done():
        answered.set_result(payload)
