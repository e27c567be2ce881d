"""The whole place of the operator's tests, with its signer at work."""

from collections.abc import AsyncIterator

import pytest

from api import bootstrap
from tests.integration.operator.conftest import Place, place

__all__ = ["place"]


@pytest.fixture
async def signed(place: Place) -> AsyncIterator[Place]:
    """With the process that can reach keys."""
    assert place.settings is not None
    signer = bootstrap.signing_service(place.settings, place.stores)
    async with bootstrap.signer_worker(place.settings, place.stores, place.client, signer):
        yield place
