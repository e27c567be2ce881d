"""How many chargers of a shard may be in flight: few first, more with success (R9). Pure."""

from storage.campaign import Pace


def most_in_flight(pace: Pace, streak: int) -> int:
    """The bound after ``streak`` successes without a failure between them; never above the window."""
    ramp = pace.ramp
    if ramp is None:
        return pace.window
    most = float(max(1, ramp.start))
    for _ in range(streak // max(1, ramp.every)):
        if most >= pace.window:
            break
        # One more at least, or a factor near 1 would never move a small number.
        most = max(most * ramp.factor, most + 1)
    return min(pace.window, int(most))
