"""``ampwave charger rebuild``: twins made anew from their stored events, compared, and repaired."""

from collections import Counter
from typing import Annotated

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Screen
from api.cli.references import segment
from api.cli.session import Session

PAGE = 20
_EXIT_INTERRUPTED = 130


def rebuild(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    charger: Annotated[
        str | None, typer.Argument(metavar="[CHARGER]", help="Its OCPP identity; or give --all.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every twin, one after the other.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only compare; what it does by itself.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write anew what differs; needs --reason and is audited.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is on record.")] = "",
    resume: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where a run that broke off said it was.")
    ] = None,
) -> None:
    """Make twins anew from their stored events and compare, byte for byte, with those in use.

    Ends with 0 if every twin is (or, with --repair, was made) what its events make of it, else with 1.
    """
    if (charger is None) != every:
        raise WrongUse("Give a charger, or --all.")
    if repair and (check or not reason):
        raise WrongUse(
            "--repair needs --reason TEXT, and is not --check.", hint="Compare first, then repair."
        )
    if resume is not None and not every:
        raise WrongUse("--resume goes with --all.")
    fleet = _Fleet(session, reason if repair else None)
    if charger is not None:
        _one(session, fleet, charger)
    else:
        _all(session, fleet, resume)


class _Fleet:
    """What was found so far, and how each finding is dealt with."""

    def __init__(self, session: Session, reason: str | None) -> None:
        self._session = session
        self._reason = reason
        self.counts: Counter[str] = Counter()
        self.differing: list[Record] = []

    def take(self, found: Record) -> Record:
        """Count one twin; repair it if that is wanted."""
        self.counts["twins"] += 1
        self.counts["events"] += found["events"]
        if found["same"]:
            self.counts["same"] += 1
            return found
        found = {**found, "repaired": None}
        if self._reason is not None:
            path = f"/chargers/{segment(found['charger_id'])}/rebuild"
            found["repaired"] = self._session.api.post(path, {"reason": self._reason})["repaired"]
            self.counts["repaired"] += 1
        self.differing.append(found)
        return found

    @property
    def wrong(self) -> int:
        """Twins that are not what their events make of them, and were left so."""
        return self.counts["twins"] - self.counts["same"] - self.counts["repaired"]


def _one(session: Session, fleet: _Fleet, charger: str) -> None:
    found = fleet.take(session.api.get(f"/chargers/{segment(charger)}/rebuild"))

    def draw(screen: Screen) -> None:
        screen.line(
            f"{found['events']} events make {found['changes']} revisions, and it has {found['recorded']}."
        )
        if found.get("repaired") is not None:
            screen.line(f"Written anew: {_sections(found)}.")

    session.show(found, draw)
    if fleet.wrong:
        raise CliError(
            f"The twin of {charger} is not what its events make of it: {_sections(found)}.",
            hint="Somebody wrote to the database, or a newer version reads old events differently.\n"
            f"Put it right: ampwave charger rebuild {charger} --repair --reason TEXT",
        )


def _all(session: Session, fleet: _Fleet, cursor: str | None) -> None:
    reached: str | None = cursor
    try:
        while True:
            page = session.api.get("/rebuilds", limit=PAGE, cursor=reached)
            for found in page["items"]:
                _tell(session, fleet.take(found))
            if page["next_cursor"] is None:
                break
            reached = page["next_cursor"]
    except (KeyboardInterrupt, CliError) as error:
        where = f" --resume {reached}" if reached else ""
        session.note(
            f"Broken off after {fleet.counts['twins']} twins."
            f" Go on with: ampwave charger rebuild --all{where}, and what else you gave."
        )
        if isinstance(error, CliError):
            raise
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    counts = {name: fleet.counts[name] for name in ("twins", "events", "same", "repaired")}
    summary = {**counts, "wrong": fleet.wrong, "differing": fleet.differing}
    session.show(summary, lambda screen: screen.line(_summary(fleet)))
    if fleet.wrong:
        raise CliError(
            f"{fleet.wrong} of {counts['twins']} twins are not what their events make of them.",
            hint="Put them right: ampwave charger rebuild --all --repair --reason TEXT",
        )


def _tell(session: Session, found: Record) -> None:
    if not found["same"]:
        done = "written anew" if found["repaired"] is not None else "differs"
        session.note(f"{found['charger_id']}: {_sections(found)} {done}")


def _sections(found: Record) -> str:
    return ", ".join(found["differing"]) or "the number of revisions"


def _summary(fleet: _Fleet) -> str:
    counts = fleet.counts
    parts = [f"{counts['same']} identical", f"{counts['repaired']} repaired", f"{fleet.wrong} differing"]
    twins = "1 twin" if counts["twins"] == 1 else f"{counts['twins']} twins"
    return f"{twins} made anew from {counts['events']} events: {', '.join(parts)}."
