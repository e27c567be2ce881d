"""``ampwave audit``: the log of who did what, exported with its proof, and checked on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from api.cli.audit_file import (
    Proof,
    Verdict,
    authorities_of,
    check,
    header,
    pinned_keys,
    read_proof,
    rows_of,
)
from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Screen
from api.cli.session import Session, command, group

app = group("Export the audit log and check its chain.")
_ALL = 10**9


@command(app, "export")
def export(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; one JSON object a line.")],
    first: Annotated[int, typer.Option("--from", min=1, metavar="N", help="The first row.")] = 1,
    last: Annotated[
        int | None, typer.Option("--to", min=1, metavar="N", help="The last row. [default: all there are]")
    ] = None,
) -> None:
    """Write the log, its signed checkpoints and their public keys to a file for `audit verify`."""
    if last is not None and last < first:
        raise WrongUse(f"Row {last} comes before row {first}.")
    if file.exists():
        raise WrongUse(f"{file} is there already.", hint="Name a new file.")
    proof = _live_proof(session)  # before the rows, which only ever become more
    part = file.with_name(f".{file.name}.part")
    count, last_hash = 0, ""
    try:
        with part.open("x", encoding="utf-8") as out:
            for line in _head_lines(session, proof, first, last):
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
            for row in _live_rows(session, first, last):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                count, last_hash = count + 1, str(row["row_hash"])
        part.replace(file)
    except OSError as error:
        raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    shown = {"file": str(file), "rows": count, "checkpoints": len(proof.envelopes), "last_hash": last_hash}

    def draw(screen: Screen) -> None:
        screen.line(f"{count} rows and {len(proof.envelopes)} signed checkpoints in {file}.")
        screen.line(f"Last hash: {last_hash or 'none'}")
        screen.line(f"Check it anywhere, without this server: ampwave audit verify {file}")

    session.show(shown, draw)


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="An export. [default: the live log, by the api]")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Public key that signs checkpoints; repeat for more. [default: record.pub.json, if here]",
        ),
    ] = None,
    tsa_root: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Root (PEM) of a time stamp authority; repeat for more."),
    ] = None,
    last_hash: Annotated[
        str | None, typer.Option(metavar="HASH", help="A hash you noted; the log has to hold it still.")
    ] = None,
) -> None:
    """Recompute the chain here and hold it against its signed checkpoints. Says which row, and why.

    Finds an edited, deleted, inserted or reordered row, and a tail that was cut or written anew.
    """
    from api.cli.credentials import load_settings

    proof = read_proof(file) if file else _live_proof(session)
    rows = rows_of(file) if file else _live_rows(session, 1, None)
    noted = _Noted(rows, last_hash)
    verdict = check(noted, proof, pinned_keys(key, load_settings().keys), authorities_of(tsa_root))
    result = _result(verdict, noted, demanded=bool(key))
    session.show(result, lambda screen: _draw(screen, verdict, intact=bool(result["intact"])))
    if not verdict.pinned and verdict.checkpoints:
        session.note(
            "The keys of the checkpoints came with the rows, so whoever forged one could forge both. Compare "
            f"the key id with the one you were given: {', '.join(verdict.signers)}. Name yours with --key."
        )
    if result["problems"]:
        raise CliError(
            "The audit log does not hold.",
            [str(one["why"]) for one in result["problems"]],
            hint="Keep this copy and compare it with an earlier export.",
        )


class _Noted:
    """Passes rows on, and looks out for a hash that somebody noted."""

    def __init__(self, rows: Iterator[Record], wanted: str | None) -> None:
        self._rows = rows
        self._wanted = wanted
        self.missing = wanted

    def __iter__(self) -> Iterator[Record]:
        for row in self._rows:
            if row.get("row_hash") == self._wanted:
                self.missing = None
            yield row


def _result(verdict: Verdict, noted: _Noted, *, demanded: bool) -> Record:
    report = verdict.report
    problems = [
        {"row": one.number, "kind": one.kind.value, "why": f"{one.why[:1].upper()}{one.why[1:]}."}
        for one in report.problems
    ]
    if noted.missing:
        why = f"No row has the hash {noted.missing}: the log was cut or written anew."
        problems.append({"row": 0, "kind": "rebuilt", "why": why})
    if demanded and not verdict.checkpoints:
        why = "The key that you named signed no checkpoint here: nothing proves that it was not written anew."
        problems.append({"row": 0, "kind": "checkpoint", "why": why})
    return {
        "intact": not problems,
        "rows": report.rows,
        "first": report.first,
        "last": report.last if report.rows else 0,
        "last_hash": report.last_hash if report.rows else "",
        "checkpoints": verdict.checkpoints,
        "proven_up_to": report.proven,
        "log_had": report.known,
        "newest_checkpoint_at": verdict.newest_at.isoformat() if verdict.newest_at else None,
        "keys": list(verdict.signers),
        "keys_pinned": verdict.pinned,
        "time_stamps": verdict.dated.stamps,
        "dated_up_to": verdict.dated.row,
        "dated_at": verdict.dated.at.isoformat() if verdict.dated.at else None,
        "problems": problems,
    }


def _draw(screen: Screen, verdict: Verdict, *, intact: bool) -> None:
    report = verdict.report
    if not intact:
        return
    if not report.rows:
        screen.line("The log is empty.")
        return
    screen.line(
        f"Intact: {report.rows} rows, each following from the one before. Last hash: {report.last_hash}"
    )
    if report.known > report.last or report.first > 1:
        had = max(report.known, report.last)
        screen.line(f"A part of the log: rows {report.first} to {report.last} of at least {had}.")
    if not report.proven:
        screen.line(
            "No signed checkpoint covers them, so only a hash that you noted proves that none is new."
        )
    elif report.proven < report.last:
        after = report.last - report.proven
        screen.line(f"Signed up to row {report.proven}; the next checkpoint will cover the {after} after it.")
    else:
        screen.line(f"Signed up to its last row, by {verdict.checkpoints} checkpoints.")
    if verdict.newest_at is not None:
        # Whoever hands out an old export hands out its old checkpoints with it.
        screen.line(f"The newest checkpoint is of {verdict.newest_at:%Y-%m-%d %H:%M}Z.")
    _draw_dates(screen, verdict)


def _draw_dates(screen: Screen, verdict: Verdict) -> None:
    dated = verdict.dated
    if dated.at is not None:
        screen.line(f"An outside authority saw it up to row {dated.row} at {dated.at:%Y-%m-%d %H:%M:%S}Z.")
    elif dated.stamps:
        screen.line(f"{dated.stamps} time stamps were not checked: name the authority with --tsa-root.")


def _head_lines(session: Session, proof: Proof, first: int, last: int | None) -> Iterator[Record]:
    yield header(first, last, session.clock())
    for key in proof.keys:
        yield {"kind": "key", **key}
    for envelope, stamp in zip(proof.envelopes, proof.stamps, strict=True):
        yield {"kind": "checkpoint", "envelope": envelope, "timestamp": stamp or None}


def _live_proof(session: Session) -> Proof:
    proof = Proof()
    for item in session.api.pages("/audit/checkpoints", _ALL):
        proof.envelopes.append(item["envelope"])
        proof.stamps.append(item.get("timestamp") or "")
    signed = {str(one["keyid"]) for each in proof.envelopes for one in each["signatures"]}
    proof.keys = [session.api.get(f"/audit/keys/{keyid}") for keyid in sorted(signed)]
    return proof


def _live_rows(session: Session, first: int, last: int | None) -> Iterator[Record]:
    count = _ALL if last is None else last - first + 1
    return session.api.pages("/audit", count, start=str(first - 1) if first > 1 else None)
