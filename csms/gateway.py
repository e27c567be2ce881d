# long-file: the one place where a node is put together from its parts
"""A csms node: chargers' sockets in, canonical commands out, and a lease on every socket it holds.

Newest authenticated socket wins; its epoch fences the older one off everywhere.
"""

import asyncio
import socket
import ssl
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve

from csms.auth import Admitted, Authenticator, Refused
from csms.capabilities import declared_of
from csms.client_certificates import ClientCertificates
from csms.collector import Litter
from csms.commands import Command, CommandAnswer
from csms.dialect import Dialect
from csms.entrance import Entrance
from csms.errors import CsmsError, NotConnectedHere
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.handshake import SUBPROTOCOLS, Handshake, address_of
from csms.inbound import SessionTools
from csms.ingest import Ingest
from csms.internal_http import InternalHttp
from csms.journal import SessionJournal
from csms.lease import Lease
from csms.limits import Arrivals, Doorway
from csms.listening import Listening
from csms.loop_watch import LoopWatch
from csms.metrics import CsmsMetrics
from csms.newcomers import Newcomers
from csms.ocpp2x import ocpp21, ocpp201
from csms.ocpp16 import Ocpp16
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.passwords import PasswordChanger
from csms.pki.roots import refuse_no_root
from csms.portions import Room, room_for
from csms.ports import LastLook, PasswordChange
from csms.probing import agreed_to_return, ask_after_boot, ask_after_return, ask_for_renewal
from csms.projection import project
from csms.quirks.catalogue import CATALOGUE
from csms.quirks.quirk import Adaptation
from csms.registration import Registration
from csms.registry import SessionRegistry
from csms.rereading import Rereader, changes_something
from csms.rounds import Rounds
from csms.routes import LeaseTerms, RouteKeeper
from csms.secrets import hash_secret
from csms.security_watch import SecurityWatch
from csms.session import SUPERSEDED, Session
from csms.sweeping import sweep_for_ever
from csms.tls import ServerTls, agreed
from csms.transport import TransportClosed
from csms.watching import NodeWatch
from csms.websocket import ABNORMAL, MESSAGE_TOO_BIG, ChargerConnection, SocketLimits, WebSocketTransport
from storage.charger import Route, SelfReport
from storage.errors import AmpwaveError, EngineUnavailable
from storage.events import (
    NO_SESSION_EPOCH,
    ChargerThrottled,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    Event,
    FrameRejected,
)

log = structlog.get_logger(__name__)

_KERNEL_BUFFER = 32 * 1024

DIALECTS: dict[str, Dialect] = {OCPP16: Ocpp16(), OCPP201: ocpp201(), OCPP21: ocpp21()}

BACKLOG = 4096
"""Sockets that may wait to be accepted (Linux: at most ``net.core.somaxconn``). The usual hundred are too few
when a fleet reconnects at once: whom the kernel drops believes to be connected until its own timeout."""

REVOKED = 4002
"""The certificate that this socket was opened with was revoked (a close code of ours, like SUPERSEDED)."""

DISMISSED = 4003
"""This charger is not served any more: it was retired."""


class Gateway:
    """One node. Implements ``csms.ports.CommandSender`` for the chargers whose sockets it holds."""

    def __init__(
        self,
        options: GatewayOptions,
        stores: GatewayStores,
        sources: Sources,
        *,
        tls: ServerTls | None = None,
        certificates: ClientCertificates | None = None,
        newcomers: Newcomers | None = None,
    ) -> None:
        self._options = options
        self._chargers = stores.chargers
        self._clock = sources.clock
        self._monotonic = sources.monotonic
        self._tls = tls
        self.metrics = CsmsMetrics()
        self.loop_watch = LoopWatch(self.metrics.loop_late.set)
        self._ingest = Ingest(stores.ingest, project, options.ingest, self.metrics)
        self._tools = SessionTools(
            self._ingest,
            stores.transactions,
            sources.clock,
            sources.new_message_id,
            sources.new_request_id,
            lambda token: hash_secret(options.pepper, token).hex(),
            options.heartbeat_interval_s,
            self.metrics,
            options.rate,
            sources.monotonic,
            registrar=sources.registrar,
            room=self._room,
        )
        unsafe = options.unsafe_profile_0
        authenticator = Authenticator(
            stores.chargers,
            options.pepper,
            sources.monotonic,
            certificates,
            unsafe_profile_0=unsafe,
            newcomers=newcomers,
        )
        self._passwords = PasswordChanger(stores.chargers, options.pepper, sources.clock)
        self._watch = SecurityWatch(tls, certificates, self.metrics, self._revoke, options.reload_s)
        self._internal = InternalHttp(self.metrics, stores.readiness)
        arrivals = Arrivals(options.arrivals, sources.monotonic)
        self._handshake = Handshake(
            authenticator, arrivals, self.metrics, self._record_refusal, self._record_throttled
        )
        if tls is not None:
            tls.on_failure = self._handshake.no_tls
        self._door = Doorway(options.unproved_per_address)
        self._rounds = Rounds(options.ping_interval_s)
        self._registry = SessionRegistry()
        self._entrance = Entrance(self._registry, self._supersede, self._close_older)
        terms = LeaseTerms(options.node_id, options.boot_id, options.lease_s, sources.monotonic)
        self._route_store = stores.routes
        self.listening = Listening(stores.routes, options.node_id, options.boot_id, sources.monotonic)
        self._routes = RouteKeeper(stores.routes, self._registry, terms)
        self._litter = Litter()
        self._rereader = Rereader(stores.desires, options.reread, lambda: self._ingest.at_ease)
        self.watching = NodeWatch(self._registry, self._tools, options.silence)
        self._servers: list[Server] = []
        self._internal_server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # The life of the node.

    async def start(self) -> None:
        """Open the listeners."""
        self._ingest.start()
        if self._options.port is not None:
            self._servers.append(await self._listen(self._options.port, None))
        if self._tls is not None and self._options.tls_port is not None:
            self._servers.append(await self._listen(self._options.tls_port, self._tls.context))
        if self._options.internal_port is not None:
            host, port = self._options.internal_host, self._options.internal_port
            self._internal_server = await self._internal.listen(host, port)
        self._spawn(self._watch.look_for_ever())
        self._spawn(self._watch.ask_for_ever())
        self._spawn(self._routes.renew_for_ever(self._supersede))
        self._spawn(self.listening.mark_for_ever())
        self._spawn(sweep_for_ever(self._route_store, self._routes, self._record_gone))
        self._spawn(self._rounds.run())
        self._spawn(self.watching.silence.run())
        self._spawn(self._rereader.run())
        self._spawn(self.loop_watch.run())

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> Server:
        options = self._options
        interval_s = options.ping_interval_s
        limits = SocketLimits(interval_s, interval_s + options.ping_timeout_s, options.stall_s)
        server = await serve(
            self._serve,
            options.host,
            port,
            ssl=tls,
            process_request=self._handshake.process_request,
            select_subprotocol=self._handshake.select_subprotocol,
            ssl_handshake_timeout=options.open_timeout_s if tls else None,
            create_connection=partial(  # type: ignore[arg-type]  # it is only called
                ChargerConnection,
                limits=limits,
                door=self._door,
                rounds=self._rounds,
                on_cut=self._count_cut,
            ),
            compression=None,
            server_header=None,
            max_size=options.max_frame_bytes,
            max_queue=16,
            backlog=BACKLOG,
            open_timeout=options.open_timeout_s,
            ping_interval=None,  # ``csms.rounds`` ping, without a task for each socket
        )
        for listening in server.sockets:
            # Inherited by every socket: what waits in the kernel, for us or for the charger, stays small.
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                listening.setsockopt(socket.SOL_SOCKET, buffer, _KERNEL_BUFFER)
        return server

    def _count_cut(self, why: str) -> None:
        self.metrics.cut_off.labels(why).inc()

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are open: the plain one, then the TLS one."""
        return tuple(server.sockets[0].getsockname()[1] for server in self._servers)

    @property
    def internal_port(self) -> int | None:
        """The port of metrics and readiness, if it is open."""
        server = self._internal_server
        return None if server is None else int(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take nobody in, close the sockets one after the other, store what came, give the leases back."""
        self.close_doors()
        await self._hand_over()
        closing = {asyncio.create_task(server.wait_closed()) for server in self._servers}
        if closing:
            await asyncio.wait(closing, timeout=self._options.drain_s / 2)
        await self._ingest.stop(self._options.drain_s / 2)
        if self._internal_server is not None:
            self._internal_server.close()
            await self._internal_server.wait_closed()
        leftover = closing | self._tasks
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)
        await self._watch.close()

    def close_doors(self) -> None:
        """Take nobody in any more; who is here is served until ``stop``."""
        for server in self._servers:
            server.close(close_connections=False)

    async def _hand_over(self) -> None:
        """Let the chargers go at a pace, in half of the time that a stop may take."""
        options, sessions = self._options, self._registry.all()
        patience_s = options.drain_s / 2
        pause_s = min(1 / options.drain_per_s, patience_s / max(1, len(sessions)))
        for session in sessions:
            self._spawn(session.hand_over(patience_s))
            await asyncio.sleep(pause_s)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # One socket.

    async def _serve(self, connection: ServerConnection) -> None:
        begun = await self._begun(connection)
        if begun is not None:
            await self._hold(*begun)

    async def _begun(self, connection: ServerConnection) -> tuple[Session, list[Event]] | None:
        """The session of this socket and its first event, or None if it may have none.

        Apart from ``_serve``, so that nothing of the opening lives as long as the socket.
        """
        transport = WebSocketTransport(connection)
        if not isinstance(connection, ChargerConnection) or connection.admitted is None:
            await transport.close(1011, "not admitted")
            return None
        connection.through()
        admitted = connection.admitted
        charger_id, address = admitted.view.charger.charger_id, address_of(connection)
        if connection.subprotocol is None:
            # OCPP-J 1.6 section 3.1.2, 2.0.1 Part 4 section 3.1: finish the handshake, then close.
            reason = f"no common subprotocol; offer one of {', '.join(SUBPROTOCOLS)}"
            log.warning("refused a charger", charger_id=charger_id, address=address, reason=reason)
            self.metrics.refused.labels("subprotocol").inc()
            self._record_refusal(charger_id, Refused(400, reason, registered=True), address)
            await transport.close(1002, reason)
            return None
        if not await self._entrance.pass_through(charger_id, connection, transport):
            return None
        try:
            route, lease = await self._routes.claim(charger_id, connection.subprotocol)
            # Before anything counts of this socket: a floor that is forgotten lets the next one in below it.
            if _floor(admitted) > admitted.view.charger.security_floor:
                await self._chargers.raise_security_floor(charger_id, admitted.security_profile)
        except AmpwaveError as error:
            log.warning("could not claim a route", charger_id=charger_id, error=str(error))
            await transport.close(1013, "try again later")
            return None
        session = self._session(admitted, route, transport, lease)
        self._watch.enter(session, admitted.path)
        connection.take = session.take_now
        connection.forget_handshake()
        tls = agreed(connection.transport.get_extra_info("ssl_object"))
        return session, [_opened(admitted, route, address, tls)]

    def _session(
        self, admitted: Admitted, route: Route, transport: WebSocketTransport, lease: Lease
    ) -> Session:
        view, dialect, charger_id = admitted.view, DIALECTS[route.dialect], route.charger_id
        version = view.twin.firmware.version if view.twin.firmware else None
        quirks = Adaptation.of(CATALOGUE, dialect.name, view.charger.vendor, view.charger.model, version)
        drift_s = self._options.clock_drift_s
        journal = SessionJournal(charger_id, route.session_epoch, self._ingest, self._clock, drift_s)
        session = Session(journal, dialect, transport, self._tools, quirks, lease)
        session.judged_by(lambda: self._judge(charger_id), confined=admitted.expired)
        firmware = view.twin.firmware
        session.booted_before(firmware.booted_at if firmware else None, version)
        configuration = view.twin.configuration
        link = view.twin.connectivity
        session.watch_clock(suspicious=link is not None and link.clock_suspicious)
        session.security_extension = dialect.remembers_security(configuration) if configuration else None
        return session

    async def _judge(self, charger_id: str) -> Registration:
        # Looked up anew: a socket may be open for months, and the charger quarantined since.
        return await self._tools.registrar(await self._chargers.registered(charger_id))

    async def _room(self, charger_id: str, command: Command) -> Room:
        """What the charger takes in one message, by what it told last."""
        manner = await self._chargers.manner(charger_id)
        return room_for(command, manner.dialect, manner.told, declared_of(manner))

    async def _hold(self, session: Session, first: list[Event]) -> None:
        """From the first record of a session to its last, whatever ends it."""
        self.watching.silence.enter(session)
        older = self._registry.enter(session)
        if older is not None:
            self._supersede(older)
        follow_ups: list[asyncio.Task[None]] = []
        session.on_boot = lambda: self._booted(session, follow_ups)
        if session.confined:
            booted = asyncio.Event()
            session.on_boot = booted.set
            _follow_up(follow_ups, self._spawn(self._renew(session, booted)))
        else:
            self._rereader.returned(session)
            if session.version_unread:
                session.on_boot()  # It may not boot again, and what it runs is not known.
        connections = self.metrics.connections.labels(session.dialect.name)
        connections.inc()
        try:
            await self._record(session, first.pop())  # It is not needed for as long as the socket lives.
            await self._record_end(session, await session.run())
        except EngineUnavailable:
            log.warning("the end of a session was not stored", charger_id=session.charger_id)
        finally:
            connections.dec()
            self._watch.leave(session)
            self.watching.silence.leave(session)
            self._registry.leave(session)
            for task in follow_ups:
                task.cancel()
            await self._routes.release(session)
            self._litter.add()

    def _booted(self, session: Session, follow_ups: list[asyncio.Task[None]]) -> None:
        self._rereader.returned(session)
        for asking in follow_ups:
            asking.cancel()  # What it asks is of the boot before.
        _follow_up(follow_ups, self._spawn(self._ask(session)))

    async def _ask(self, session: Session) -> None:
        options = self._options
        await ask_after_boot(session, self._chargers, options.probe_delay_s, options.message_timeout_s)

    async def _ask_again(self, session: Session) -> None:
        options = self._options
        await ask_after_return(session, self._chargers, options.probe_delay_s, options.message_timeout_s)

    async def _renew(self, session: Session, booted: asyncio.Event) -> None:
        options = self._options
        await ask_for_renewal(session, booted, options.probe_delay_s, options.message_timeout_s)

    def _supersede(self, session: Session) -> None:
        """Let a session go whose charger has a newer socket; a half-open one takes its time to close."""
        if session.retire():
            self.watching.silence.leave(session)
            self.metrics.superseded.inc()
            log.info("a newer socket took over", charger_id=session.charger_id, epoch=session.session_epoch)
            self._close_older(session)

    def _close_older(self, older: Session | WebSocketTransport) -> None:
        self._spawn(older.close(SUPERSEDED, "a newer connection of this charger was authenticated"))

    def _revoke(self, session: Session, reason: str) -> None:
        self._dismiss(session, REVOKED, reason)

    def _dismiss(self, session: Session, code: int, reason: str) -> None:
        """Believe this socket nothing more, and close it."""
        session.retire()
        self._spawn(session.close(code, reason))

    async def _record_end(self, session: Session, closed: TransportClosed) -> None:
        if closed.code == MESSAGE_TOO_BIG:
            detail = f"a message longer than {self._options.max_frame_bytes} bytes; the socket was closed"
            await self._record(session, FrameRejected(str(MESSAGE_TOO_BIG), detail))
        await (await self._record(session, ConnectionClosed(closed.code, closed.reason[:200])))

    async def _record(self, session: Session, event: Event) -> asyncio.Future[None]:
        return await session.journal.put([], [session.journal.event(event, self._clock())])

    def _record_refusal(self, charger_id: str, refused: Refused, address: str) -> None:
        """On the timeline of a registered charger; the peer does not wait for it."""
        told = ConnectionRefused(refused.reason, address, refused.profile)
        self._spawn(self._store_outside(charger_id, told))

    def _record_throttled(self, charger_id: str) -> None:
        allowed_per_s = self._options.arrivals.per_s
        log.warning("a charger connects too often", charger_id=charger_id, allowed_per_s=allowed_per_s)
        self.metrics.throttled.labels("connections").inc()
        self._spawn(self._store_outside(charger_id, ChargerThrottled("connections", allowed_per_s)))

    async def _record_gone(self, charger_id: str, session_epoch: int) -> None:
        """The session's own node cannot say so any more; two that find it at once say it once."""
        journal = SessionJournal(charger_id, session_epoch, self._ingest, self._clock)
        closed = journal.event(ConnectionClosed(ABNORMAL, "its node is gone"), self._clock())
        await (await journal.put([], [replace(closed, dedupe_key=f"gone:{session_epoch}")]))

    async def _store_outside(self, charger_id: str, event: Event) -> None:
        """A fact of a charger that belongs to none of its sessions."""
        journal = SessionJournal(charger_id, NO_SESSION_EPOCH, self._ingest, self._clock)
        try:
            await journal.put([], [journal.event(event, self._clock())])
        except EngineUnavailable:
            log.warning("a refusal was not stored", charger_id=charger_id)

    # csms.ports.CommandSender

    async def send(
        self,
        charger_id: str,
        session_epoch: int,
        command: Command,
        *,
        deadline_s: float,
        last_look: LastLook | None = None,
    ) -> CommandAnswer:
        """Send and wait for the answer; see ``csms.ports.CommandSender``."""
        session = self._registry.held(charger_id, session_epoch)
        refuse_no_root(command, self._clock())
        action, outcome = type(command).__name__, "failed"
        try:
            left_s = deadline_s - await self._confirmed(session)
            if changes_something(command):
                began = self._monotonic()
                await self._rereader.before(session, left_s / 2)
                left_s -= self._monotonic() - began
            answer = await session.send(command, left_s, partial(self._look, session, last_look))
            outcome = answer.status.value
            if agreed_to_return(command, answer):
                self._spawn(self._ask_again(session))
        except CsmsError as error:
            outcome = type(error).__name__
            raise
        finally:
            self.metrics.commands.labels(action, outcome).inc()
        return answer

    async def _confirmed(self, session: Session) -> float:
        """Never command a charger with an old epoch; returns how long it took to be sure, in seconds."""
        began = self._monotonic()
        if not await self._routes.confirm(session):
            self._supersede(session)
            raise NotConnectedHere(session.charger_id, session.session_epoch)
        return self._monotonic() - began

    async def _look(self, session: Session, last_look: LastLook | None = None) -> None:
        """The last one before a command is written: its record may have waited long for the store.

        Meanwhile the charger may have gone to another node, whose claim told this one nothing. A look that
        took as long itself is taken again: what it saw may be over (X1).
        """
        await self._sure(session)
        while last_look is not None:
            await last_look()
            if session.lease.sure:
                return
            await self._sure(session)

    async def _sure(self, session: Session) -> None:
        """A store that does not answer now is no yes."""
        if not session.lease.sure:
            await self._confirmed(session)
        if not session.lease.sure:
            raise NotConnectedHere(session.charger_id, session.session_epoch)

    async def settle(self, charger_id: str, session_epoch: int) -> None:
        """Wait until every frame received so far from this charger is stored."""
        await self._registry.held(charger_id, session_epoch).settled()

    async def cut(self, charger_id: str, session_epoch: int, reason: str) -> None:
        """Store what it told, and close its socket. Raises NotConnectedHere."""
        session = self._registry.held(charger_id, session_epoch)
        await session.settled()
        self._dismiss(session, DISMISSED, reason)

    def supports_signed_update(self, charger_id: str, session_epoch: int) -> bool:
        """Whether this session can take a signed update. Raises NotConnectedHere."""
        return self._registry.held(charger_id, session_epoch).takes_signed_update

    def told(self, charger_id: str, session_epoch: int) -> SelfReport | None:
        """Who the charger said it is on this socket. Raises NotConnectedHere."""
        return self._registry.held(charger_id, session_epoch).told

    async def change_password(
        self, charger_id: str, session_epoch: int, *, deadline_s: float
    ) -> PasswordChange:
        """Give a charger a new password; see ``csms.ports.PasswordSender``."""
        session = self._registry.held(charger_id, session_epoch)
        left_s = deadline_s - await self._confirmed(session)
        return await self._passwords.change(session, left_s, partial(self._look, session))


def _follow_up(tasks: list[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    """Keep it beside those that still run, to be cancelled with their socket."""
    tasks[:] = [each for each in tasks if not each.done()] + [task]


def _floor(admitted: Admitted) -> int:
    """The lowest profile with which it may come from now on."""
    before = admitted.view.charger.security_floor
    return before if admitted.bootstrap else max(before, admitted.security_profile)


def _opened(admitted: Admitted, route: Route, address: str, tls: str | None) -> ConnectionOpened:
    path = admitted.path
    return ConnectionOpened(
        route.dialect,
        admitted.security_profile,
        address,
        route.node_id,
        _floor(admitted),
        path.serial if path else None,
        path.valid_until if path else None,
        admitted.caution,
        tls,
    )
