"""A software token for the tests on PKCS#11; without SoftHSM2 they skip and say so."""

import os
from collections.abc import Iterator

import pytest

from signing import tokens
from tests.support.softhsm import MISSING, PIN, SoftHsm


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """Two tokens, ``ampwave`` and ``other``, for all tests: the library is set up once per process."""
    if MISSING:
        pytest.skip(MISSING)
    made = SoftHsm.create(tmp_path_factory.mktemp("softhsm"))
    os.environ.update(made.environment)
    made.add_token("ampwave")
    made.add_token("other")
    return made


@pytest.fixture
def token(softhsm: SoftHsm) -> Iterator[SoftHsm]:
    """This process may use the tokens."""
    tokens.use(tokens.TokenAccess(softhsm.module, lambda: PIN))
    yield softhsm
    tokens.use(tokens.TokenAccess())
