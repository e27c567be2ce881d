"""Recomputing stored verdicts on this machine, from their stored inputs alone (R54, X17)."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from api.cli.errors import Record, WrongUse
from storage.campaign import Decision, VerdictWord
from storage.errors import AmpwaveError
from workflows.gate import recompute

_COMPARED = ("inputs_sha256", "result_sha256", "verdict", "reason", "inputs", "result")

_MOST_CHARGERS = 2_000_000


def check_all(campaign_id: str, decisions: Sequence[Record]) -> list[Record]:
    """Each decision with what was recomputed and what differs; an empty ``differs`` means that it holds."""
    return [_check(campaign_id, record) for record in decisions]


def _check(campaign_id: str, record: Record) -> Record:
    stored = _decision(campaign_id, record)
    try:
        _refuse_endless(stored.inputs.get("facts"))
        again = recompute(stored)
        differs = [
            _difference(name, stored, again)
            for name in _COMPARED
            if _value(stored, name) != _value(again, name)
        ]
        differs += _misplaced(stored)
        recomputed: str | None = again.result_sha256
    except AmpwaveError as error:
        differs, recomputed = [error.diagnostics()], None
    except (TypeError, ValueError, ArithmeticError) as error:  # the inputs do not have the shape of any gate
        differs, recomputed = [f"the inputs cannot be read: {error}"], None
    return {
        "wave": stored.wave,
        "look": stored.look,
        "kind": stored.kind,
        "verdict": stored.verdict.value,
        "reason": stored.reason,
        "result_sha256": stored.result_sha256,
        "recomputed_sha256": recomputed,
        "holds": not differs,
        "differs": differs,
    }


def _refuse_endless(facts: object) -> None:
    """Exact tests of counts that no campaign has would not come to an end; raises ValueError."""
    for value in facts.values() if isinstance(facts, dict) else ():
        if isinstance(value, dict):
            _refuse_endless(value)
        elif isinstance(value, int | float) and not abs(value) <= _MOST_CHARGERS:
            raise ValueError(f"{value} chargers are more than any campaign has")


def _misplaced(stored: Decision) -> list[str]:
    """A verdict that is shown at a wave that was not judged."""
    facts = stored.inputs.get("facts")
    if facts is None or facts["wave"] == stored.wave:
        return []
    return [f"wave: stored {stored.wave}, the inputs are those of {facts['wave']}"]


def _value(decision: Decision, name: str) -> object:
    return getattr(decision, name)


def _difference(name: str, stored: Decision, again: Decision) -> str:
    if name == "inputs":
        return "the stored inputs hold more than what was judged"
    if name == "result":
        return "the stored result is not the one that follows from the inputs"
    return f"{name}: stored {_value(stored, name)}, recomputed {_value(again, name)}"


def _decision(campaign_id: str, record: Record) -> Decision:
    try:
        return Decision(
            campaign_id=campaign_id,
            wave=int(record["wave"]),
            look=int(record["look"]),
            decided_at=datetime.fromisoformat(record["decided_at"]),
            kind=str(record["kind"]),
            verdict=VerdictWord(record["verdict"]),
            reason=str(record["reason"]),
            inputs=dict(record["inputs"]),
            inputs_sha256=str(record["inputs_sha256"]),
            result=dict(record["result"]),
            result_sha256=str(record["result_sha256"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WrongUse(
            "This is not a decision as the api gives it.", [f"{type(error).__name__}: {error}"]
        ) from error


def read_decisions(path: Path) -> tuple[str, list[Record]]:
    """The campaign's id and decisions in a file written with ``campaign show --json``, or a bare list."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise WrongUse(f"{path} is not JSON.", [str(error)]) from error
    holder = document if isinstance(document, dict) else {"decisions": document}
    found = holder.get("decisions", holder.get("items"))
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise WrongUse(
            f"{path} holds no decisions.", hint="Write it with: ampwave campaign show CAMPAIGN --json > FILE"
        )
    return str(holder.get("campaign_id", "")), found
