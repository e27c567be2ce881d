from hypothesis import given
from hypothesis import strategies as st

from api.demo.story import CANARIES, waves


@given(st.integers(20, 20_000))
def test_any_fleet_has_canaries_enough_for_a_verdict_and_no_charger_in_two_waves(chargers):
    shares = [wave["share"] for wave in waves(chargers)]
    assert round(sum(shares), 9) == 1
    assert all(share > 0 for share in shares)
    assert round(shares[0] * chargers) >= CANARIES
