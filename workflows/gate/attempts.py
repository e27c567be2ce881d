"""When failed attempts stop a wave: a bound that holds at every attempt, for waves of any size.

Each attempt is another charger, drawn at random, so attempts are trials, and time may count them. If at most
the permitted share fails, the likelihood ratio of a mixture of larger shares is a test martingale: the
chance that it *ever* reaches ``1 / alpha`` is at most ``alpha`` (Ville), however often it is looked at.
Attempts under way count as not failed: a failure is known sooner than a success, and must not be taken for
a trend.
"""

from math import comb, frexp, inf, ldexp

from storage.campaign import ROLLBACK_WAVE_BASE

UNDER_WAY = 0.02
AT_THE_END = 0.03
"""So many campaigns are stopped, within a wave and at its gate, in which exactly the permitted share of
attempts fails; of better ones far fewer. A wave's gate counts once what is final, so it needs less than a
bound that holds at every attempt."""
_LARGER = (0.01, 0.05, 0.15, 0.35, 0.75)
"""The alternatives: so far from the permitted share to all, equally likely."""
_MOST_BITS = 1000


def stops(failed: int, attempts: int, permitted: float, wave: int = 0) -> bool:
    """Whether so many failures are beyond the permitted share and beyond chance.

    The k-th wave may err with a share of 1 / (k (k + 1)), so that all together err with ``UNDER_WAY``;
    rollback waves count anew.
    """
    return evidence(failed, attempts, permitted) * UNDER_WAY >= _divided(wave)


def stops_at_the_end(failed: int, attempts: int, permitted: float, wave: int = 0) -> bool:
    """The same where every attempt has its outcome."""
    if stops(failed, attempts, permitted, wave):
        return True
    return chance_of(failed, attempts, permitted) * _divided(wave) <= AT_THE_END


def _divided(wave: int) -> int:
    before = wave % ROLLBACK_WAVE_BASE
    return (before + 1) * (before + 2)


def beyond_chance(failed: int, attempts: int, permitted: float, wave: int) -> str:
    """Why a wave stops, in words; "": it goes on."""
    if not stops(failed, attempts, permitted, wave):
        return ""
    return f"{failed} of {attempts} attempts failed, beyond what chance explains"


def evidence(failed: int, attempts: int, permitted: float) -> float:
    """The test martingale after so many attempts: 1 is none, 20 is once in 20 times."""
    if not 0 < failed <= attempts or permitted >= 1:
        return 0.0
    if permitted <= 0:
        return inf
    ratios = (_ratio(failed, attempts, permitted, permitted + (1 - permitted) * part) for part in _LARGER)
    return sum(ratios) / len(_LARGER)


def _ratio(failed: int, attempts: int, permitted: float, larger: float) -> float:
    """(larger / permitted) ^ failed * ((1 - larger) / (1 - permitted)) ^ succeeded, without overflow."""
    up, up_bits = _power(larger / permitted, failed)
    down, down_bits = _power((1 - larger) / (1 - permitted), attempts - failed)
    bits = up_bits + down_bits
    return inf if bits > _MOST_BITS else ldexp(up * down, max(bits, -_MOST_BITS))


def chance_of(failed: int, attempts: int, permitted: float) -> float:
    """How likely at least so many fail, if each does with the permitted chance: the binomial tail."""
    if failed <= 0 or not 0 <= permitted <= 1:
        return 1.0
    if permitted in (0, 1):
        return permitted
    ways = comb(attempts, failed)
    size = max(ways.bit_length() - 60, 0)
    up, up_bits = _power(permitted, failed)
    down, down_bits = _power(1 - permitted, attempts - failed)
    term = ldexp((ways >> size) * up * down, max(size + up_bits + down_bits, -_MOST_BITS))
    total, odds = 0.0, permitted / (1 - permitted)
    for count in range(failed, attempts + 1):
        total += term
        if term <= total * 1e-17 and count > attempts * permitted:
            break
        term *= (attempts - count) / (count + 1) * odds
    return min(total, 1.0)


def _power(base: float, exponent: int) -> tuple[float, int]:
    """As mantissa and bits; by squaring, the same on every machine."""
    found, found_bits = 1.0, 0
    square, square_bits = frexp(base)
    while exponent:
        if exponent & 1:
            found, more = frexp(found * square)
            found_bits += square_bits + more
        square, more = frexp(square * square)
        square_bits = 2 * square_bits + more
        exponent >>= 1
    return found, found_bits
