import pytest

from signing.roles import RESERVED, check_vendor_role, path_problems
from storage.errors import InvalidName


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Acme", "a/b", "", "acme.1", "../root"])
def test_a_vendor_role_cannot_take_a_name_of_tuf_or_leave_its_path(name: str) -> None:
    with pytest.raises(InvalidName):
        check_vendor_role(name)


@pytest.mark.requirement("S7")
@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("1.1", "bolt/1.1/firmware.bin"),
        ("1.1", "acme/1.2/firmware.bin"),
        ("1.1", "acme/1.1/x/firmware.bin"),
        ("1.1", "acme/1.1/"),
        ("1.1", "acme/1.1/../firmware.bin"),
        ("..", "acme/../firmware.bin"),
        ("1/1", "acme/1/1/firmware.bin"),
        ("1.1\n", "acme/1.1\n/firmware.bin"),
        ("*", "acme/*/firmware.bin"),
        ("1" * 51, f"acme/{'1' * 51}/firmware.bin"),
        ("1.1", "acme/1.1/firm;$(id).bin"),
    ],
)
def test_a_path_that_is_not_bound_to_role_and_version_is_named(version: str, path: str) -> None:
    assert path_problems("acme", version, path)


@pytest.mark.parametrize("version", ["1", "v1.2.3", "1.2.3-rc1+b7", "V4 (build 17)", "1" * 50])
def test_versions_as_chargers_report_them_are_allowed(version: str) -> None:
    assert path_problems("acme", version, f"acme/{version}/firmware.bin") == []
