"""A plan from a file or from flags, with its artifacts looked up; what reads a file is imported only then."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from api.cli.errors import CliError, Record, Refused, Unreachable, WrongUse
from api.cli.plan_reasons import in_order, others
from api.cli.references import artifact_id, campaign_id
from api.cli.session import Session

if TYPE_CHECKING:
    from api.cli.planfile import PlanFile


class Flags(NamedTuple):
    """A plan in a few words."""

    artifact: str | None
    waves: str | None
    model: str | None
    query: str | None
    rollback_to: str | None
    name: str | None


def plan_of(file: Path | None, flags: Flags) -> "PlanFile":
    """The plan of a file, or of flags, with what is wrong in it. Raises WrongUse where there is none."""
    from api.cli.planfile import look_at_plan, plan_from_flags

    if file is not None:
        if any(flags):
            raise WrongUse("Give a plan file or flags, not both.")
        return look_at_plan(file)
    if not (flags.artifact and flags.waves):
        raise WrongUse(
            "This is not enough for a plan.",
            hint="Give a plan file (see deploy/examples/campaign.yaml), or --artifact and --waves.",
        )
    wanted = {"model": flags.model, "query": flags.query}
    return plan_from_flags(
        flags.artifact, flags.waves, rollback_to=flags.rollback_to, name=flags.name, **wanted
    )


def body_of(session: Session, written: "PlanFile") -> Record:
    """What is sent to the api, artifacts and the campaign before it looked up by their reference.

    Raises CliError with all that is wrong, here and in the api's eyes, as soon as anything is wrong here.
    """
    from api.cli.planfile import UNREADABLE

    body, problems, about = dict(written.body), list(written.problems), set(written.about)
    alone: CliError | None = None
    for name, label, reference, look_up in (
        ("artifact_id", "artifact", written.artifact, artifact_id),
        ("rollback_artifact_id", "rollback_to", written.rollback_to, artifact_id),
        ("after", "after", written.after, campaign_id),
    ):
        if reference is None:
            continue
        try:
            body[name] = look_up(session.api, reference)
        except (Refused, Unreachable, WrongUse) as error:
            if not problems:
                raise
            raise _all(written, problems, _unjudged(error)) from error
        except CliError as error:
            alone = None if problems else error
            problems.append(_at(written, name, label, error))
            about.add(name)
            body[name] = UNREADABLE
    if not problems:
        return body
    more, why = others(session, body, about, written.places)
    if alone is not None and not more and not why:
        raise alone
    raise _all(written, [*problems, *more], why and f"The rest was not judged: {why}")


def _at(written: "PlanFile", name: str, label: str, error: CliError) -> str:
    """An artifact that is not found, at its line or flag."""
    entry = written.places.get(name)
    where = f"line {entry.line}, {entry.path}" if entry else f"--{label.replace('_', '-')}"
    which = f" ({', '.join(error.problems)})" if error.problems else ""
    return f"{where}: {error.message}{which} {error.hint}".strip()


def _unjudged(error: CliError) -> str:
    return f"The rest was not judged: {error.message} {error.hint}".strip()


def _all(written: "PlanFile", problems: list[str], why: str) -> CliError:
    from api.cli.planfile import HINT

    hint = "\n".join(part for part in (why, HINT if written.places else "") if part)
    kind = WrongUse if written.problems else CliError
    return kind(f"{written.name} does not hold.", in_order(problems), hint=hint)
