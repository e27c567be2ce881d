"""A plan from a file or from flags, with its artifacts looked up; what reads a file is imported only then."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from api.cli.errors import Record, WrongUse
from api.cli.references import artifact_id
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
    """The plan of a file, or of flags. Raises WrongUse."""
    from api.cli.planfile import plan_from_flags, read_plan

    if file is not None:
        if any(flags):
            raise WrongUse("Give a plan file or flags, not both.")
        return read_plan(file)
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
    """What is sent to the api, artifacts looked up by their reference."""
    body = {**written.body, "artifact_id": artifact_id(session.api, written.artifact)}
    if written.rollback_to is not None:
        body["rollback_artifact_id"] = artifact_id(session.api, written.rollback_to)
    return body
