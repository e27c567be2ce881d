"""Who may charge and how, as version and digests."""

from dataclasses import replace

import pytest

from storage.policies import Policies, policies
from storage.twin import ConfigurationSection

pytestmark = pytest.mark.requirement("F64")
VALUES = {
    "LocalAuthListEnabled": "true",
    "AuthCacheCtrlr.LifeTime": "3600",
    "SmartChargingCtrlr.Enabled": "true",
    "HeartbeatInterval": "60",
}
SECTION = ConfigurationSection(VALUES, local_list_version=7)


def test_what_nobody_told_is_unknown() -> None:
    assert policies(None) == policies(ConfigurationSection({"HeartbeatInterval": "60"})) == Policies()


def test_each_digest_is_of_its_settings_alone() -> None:
    found = policies(SECTION)
    assert found.local_list_version == 7
    assert found.access_sha256 != found.charging_sha256
    for name, differs in (
        ("HeartbeatInterval", (False, False)),
        ("AuthCacheCtrlr.LifeTime", (True, False)),
        ("SmartChargingCtrlr.Enabled", (False, True)),
    ):
        other = policies(replace(SECTION, values={**VALUES, name: "0"}))
        changed = (
            other.access_sha256 != found.access_sha256,
            other.charging_sha256 != found.charging_sha256,
        )
        assert changed == differs, name
    reordered = replace(SECTION, values=dict(reversed(VALUES.items())))
    assert policies(reordered) == found
