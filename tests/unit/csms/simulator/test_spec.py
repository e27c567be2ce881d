"""Fleets: a fair mix by default, the same from the same seed, and refused with all problems at once."""

import stat
from collections import Counter
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault, afflictions
from csms.simulator.main import trusting
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.spec import FleetSpec, default_fleet, load_fleet, parse_fleet, save_fleet
from csms.simulator.stages import Stage
from storage.errors import InvalidInput
from tests.support.maker import found_maker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_default_fleet_mixes_all_brands_on_every_site() -> None:
    fleet = default_fleet(12 * len(PERSONALITIES), 12, seed=7)
    sites = fleet.sites()
    assert len(sites) == 12
    for chargers in sites.values():
        assert Counter(charger.personality for charger in chargers) == dict.fromkeys(PERSONALITIES, 1)
    assert {charger.version for charger in fleet.chargers} == {"1.0"}
    assert len({charger.password for charger in fleet.chargers}) == len(fleet.chargers)
    assert all(len(bytes.fromhex(charger.password)) == 20 for charger in fleet.chargers)
    assert all(len(charger.serial) <= 25 for charger in fleet.chargers)


@pytest.mark.parametrize("sites", [1, 3, 4, 5, 10, 12])
def test_no_number_of_sites_gives_one_brand_a_site_of_its_own(sites: int) -> None:
    brands = len(PERSONALITIES)
    for chargers in default_fleet(sites * brands, sites).sites().values():
        assert len({charger.personality for charger in chargers}) == brands


def test_the_seed_is_the_fleet() -> None:
    assert default_fleet(seed=1) == default_fleet(seed=1)
    assert default_fleet(seed=1) != default_fleet(seed=2)
    assert parse_fleet(asdict(default_fleet())) == default_fleet()


@pytest.mark.parametrize("name", ["fleet.yaml", "fleet.json"])
def test_a_fleet_survives_its_file(name: str, tmp_path: Path) -> None:
    fault = NetworkFault(FaultKind.DROP_SOCKET, share=0.5, stage=Stage.FETCHING)
    fleet = replace(default_fleet(5, 2), faults=(fault,), pace=SimPace(session_s=(1, 2)))
    path = tmp_path / name
    save_fleet(fleet, path)
    assert load_fleet(path) == fleet
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_passwords_are_not_in_a_repr() -> None:
    fleet = default_fleet(1, 1)
    assert fleet.chargers[0].password not in repr(fleet)


def broken(**changes: Any) -> dict[str, Any]:
    return {**asdict(default_fleet(2, 1)), **changes}


def with_charger(**changes: Any) -> dict[str, Any]:
    fleet = broken()
    fleet["chargers"] = [dict(charger) for charger in fleet["chargers"]]
    fleet["chargers"][0].update(changes)
    return fleet


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "fleet"),
        ([], "fleet"),
        ({}, "chargers"),
        (broken(chargers=[]), "there are none"),
        (broken(surprise=1), "surprise"),
        (broken(seed="x"), "seed"),
        (broken(connect_per_s=0), "connect_per_s"),
        (broken(manufacturer_roots=["nope"]), "manufacturer_roots.0"),
        (broken(sessions={"daily": [1, 2]}), "24 weights"),
        (broken(pace={"install_s": [2, 1]}), "pace.install_s"),
        (broken(faults=[{"kind": "flood"}]), "faults.0.kind"),
        (with_charger(charger_id="a/b"), "a/b"),
        (with_charger(charger_id="SIM-0002"), "2 times"),
        (with_charger(site_id="Site One"), "Site One"),
        (with_charger(personality="nobody"), "nobody"),
        (with_charger(password=""), "password"),
    ],
)
def test_a_bad_fleet_is_refused_with_the_place(value: Any, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_fleet(value)
    assert problem in refused.value.diagnostics()
    assert refused.value.problems


def test_a_refusal_shows_no_password() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_fleet(with_charger(charger_id="a/b", version=3))
    assert default_fleet(2, 1).chargers[0].password not in refused.value.diagnostics()
    assert refused.value.__cause__ is None


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_fleet({**with_charger(personality="nobody", site_id="X"), "connect_per_s": -1})
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("text", ["a: [", "\tx: 1", "{]"])
def test_a_file_that_is_no_yaml_is_refused(text: str, tmp_path: Path) -> None:
    for name in ("fleet.yaml", "fleet.json"):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InvalidInput, match="cannot be read"):
            load_fleet(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_fleet(tmp_path / "none.yaml")


def test_faults_strike_their_share_and_the_same_chargers() -> None:
    faults = (
        NetworkFault(FaultKind.DROP_SOCKET, share=0.3, stage=Stage.INSTALLING),
        NetworkFault(FaultKind.DUPLICATE_FRAME, share=1, action="Heartbeat"),
        NetworkFault(FaultKind.CLOCK_SKEW, share=1, amount=60),
        NetworkFault(FaultKind.CLOCK_SKEW, share=1, amount=5),
    )
    struck = [afflictions(faults, 1, f"C{number}") for number in range(1000)]
    share = sum(bool(one.incidents) for one in struck) / 1000
    assert share == pytest.approx(0.3, abs=0.05)
    assert struck == [afflictions(faults, 1, f"C{number}") for number in range(1000)]
    assert struck[0].skew_s == 65
    assert struck[0].duplicated("Heartbeat")
    assert not struck[0].duplicated("Authorize")
    assert afflictions((NetworkFault(FaultKind.DUPLICATE_FRAME),), 1, "C").duplicated("Authorize")


def test_gaps_between_cars_follow_share_and_hour() -> None:
    pace = SimPace(session_s=(10, 30))
    assert SessionPattern(busy_share=0.5).mean_gap_s(pace, NOON) == pytest.approx(20)
    assert SessionPattern(busy_share=0).mean_gap_s(pace, NOON) is None
    daily = tuple(2.0 if hour == 12 else 0.0 for hour in range(24))
    pattern = SessionPattern(busy_share=0.25, daily=daily)
    assert pattern.mean_gap_s(pace, NOON) == pytest.approx(20)
    assert pattern.mean_gap_s(pace, NOON.replace(hour=3)) is None
    assert isinstance(default_fleet(), FleetSpec)


def test_roots_are_read_out_of_a_file_that_has_a_key_as_well(tmp_path: Path) -> None:
    maker = found_maker(datetime(2026, 3, 1, tzinfo=UTC))
    both = tmp_path / "maker.pem"
    both.write_text(f"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n{maker.root}")
    fleet = trusting(default_fleet(), [both, both])
    assert [root.split() for root in fleet.manufacturer_roots] == [maker.root.split()] * 2
    assert "PRIVATE" not in "".join(fleet.manufacturer_roots)
    for bad in (tmp_path / "absent.pem", tmp_path / "bad.pem"):
        (tmp_path / "bad.pem").write_text("no certificate")
        with pytest.raises(InvalidInput, match="no certificate that can be read"):
            trusting(fleet, [bad])
