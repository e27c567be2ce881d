"""A refusal of a workflow, as the api says it."""

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.errors import to_application_error
from storage.errors import AmpwaveError, Conflict, NotFound
from workflows.client_words import in_our_words


def refused(cause: AmpwaveError) -> WorkflowUpdateFailedError:
    """As it comes back: the activity's error, wrapped."""
    wrapped = ApplicationError("Activity task failed")
    wrapped.__cause__ = to_application_error(cause)
    return WorkflowUpdateFailedError(wrapped)


@pytest.mark.parametrize(
    "cause",
    [NotFound("charger in this campaign", "CP-9"), Conflict("CP-9 is done in this campaign.")],
)
async def test_what_is_not_there_is_told_apart_from_what_its_state_forbids(cause: AmpwaveError) -> None:
    @in_our_words
    async def asks() -> None:
        raise refused(cause)

    with pytest.raises(type(cause)) as found:
        await asks()
    assert str(found.value) == str(cause)
