"""Which sessions this node holds. The newest epoch of a charger wins; everything compares epochs."""

from collections.abc import Sequence

from csms.errors import NotConnectedHere
from csms.session import Session


class SessionRegistry:
    """At most one session per charger."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def enter(self, session: Session) -> Session | None:
        """Enter a session; returns the one to close for it: an older one, or itself if it is the older."""
        other = self._sessions.get(session.charger_id)
        if other is not None and other.session_epoch > session.session_epoch:
            return session
        self._sessions[session.charger_id] = session
        return other

    def current(self, charger_id: str) -> Session | None:
        """The session of a charger, if this node holds one."""
        return self._sessions.get(charger_id)

    def leave(self, session: Session) -> None:
        """Forget a session, unless another one has taken its place."""
        if self._sessions.get(session.charger_id) is session:
            del self._sessions[session.charger_id]

    def held(self, charger_id: str, session_epoch: int) -> Session:
        """The session with exactly this epoch. Raises NotConnectedHere."""
        session = self._sessions.get(charger_id)
        if session is None or session.session_epoch != session_epoch:
            raise NotConnectedHere(charger_id, session_epoch)
        return session

    def all(self) -> Sequence[Session]:
        """Those held now."""
        return tuple(self._sessions.values())
