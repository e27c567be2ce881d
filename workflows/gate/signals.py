"""The words for each signal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignalWords:
    """How a signal is spoken of."""

    title: str
    of: str
    """What its exposure counts."""


SIGNALS: dict[str, SignalWords] = {
    "session_failures": SignalWords("sessions that got no energy", "sessions"),
    "abnormal_stops": SignalWords("sessions that stopped abnormally", "stops"),
    "unheard": SignalWords("hours without a sign of life", "hours"),
    "faults": SignalWords("chargers with a fault", "chargers"),
    "unavailable": SignalWords("chargers with a connector out of service", "chargers"),
    "boots": SignalWords("restarts per hour", "hours"),
    "boot_loops": SignalWords("chargers in a boot loop", "chargers"),
    "reconnects": SignalWords("reconnects per hour", "hours"),
    "silences": SignalWords("chargers that fell silent on a living connection", "chargers"),
    "probes": SignalWords("probes without an answer", "probes"),
    "protocol_errors": SignalWords("messages that broke the protocol", "messages"),
    "clock": SignalWords("chargers with a wrong clock", "chargers"),
    "meter_backwards": SignalWords("chargers whose meter went back", "chargers"),
    "lost_stops": SignalWords("sessions lost in a restart", "open sessions"),
    "lower_profile": SignalWords("chargers that fell to a lower security profile", "chargers"),
}
"""By the names of ``activities.measures``."""


def words_of(signal: str) -> SignalWords:
    """The words for a signal; of one without, its name."""
    return SIGNALS.get(signal) or SignalWords(signal.replace("_", " "), "cases")
