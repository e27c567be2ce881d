"""A simulated charger's ways to the server: it goes back to what worked, unless it is made not to."""

import pytest

from csms.simulator.network import Network, NetworkHabits, Way

HOME, SAFE = Way("ws://csms/ocpp", 1), "wss://csms/ocpp"


def fails(network: Network, times: int) -> None:
    for _ in range(times):
        network.failed()


def test_a_slot_counts_after_a_restart_and_the_old_one_is_behind_it() -> None:
    network = Network(HOME, SAFE, NetworkHabits())
    assert network.take(1, Way(SAFE, 2)) == "Rejected", "in use"
    assert network.take(3, Way(SAFE, 2)) == "Rejected", "there is none"
    assert not network.prefer("2,1"), "nothing is in it yet"
    assert network.take(2, Way(SAFE, 2)) == "Accepted"
    assert [network.prefer(order) for order in ("", "x", "2,2", "9", "2,1")] == [False] * 4 + [True]
    assert network.way == HOME
    network.started()
    assert network.way == Way(SAFE, 2)
    fails(network, 3)
    assert network.way == HOME
    assert not network.connected()
    network.started()
    assert network.connected()
    assert network.active == 2
    assert network.take(1, Way("ws://csms/ocpp", 1)) == "Rejected", "lower than what it has"


def test_a_1_6_charger_goes_at_once_and_falls_back() -> None:
    network = Network(HOME, SAFE, NetworkHabits(falls_back=True))
    network.raise_to(2)
    assert network.way.profile == 2
    assert network.way.url != SAFE, "what it was given does not work"
    fails(network, 3)
    assert network.way == HOME


@pytest.mark.parametrize("by_slot", [True, False])
def test_a_stranded_one_has_no_way_back(*, by_slot: bool) -> None:
    network = Network(HOME, SAFE, NetworkHabits(stranded=True))
    if by_slot:
        network.take(2, Way(SAFE, 2))
        network.prefer("2,1")
        network.started()
    else:
        network.raise_to(2)
    fails(network, 50)
    assert network.way.url not in (HOME.url, SAFE)
