"""What we told a charger to be, read back from the journal's frames that left for it. Pure."""

from collections import defaultdict
from collections.abc import Iterable

from csms import frames
from csms.frames import OCPP21, Call
from csms.ocpp2x import told as told_2x
from csms.ocpp16 import told as told_16
from storage.kept import SetSince

# The same words in every version of OCPP; the signed one is the security whitepaper's.
_ROOTS = frozenset({"InstallCertificate", "DeleteCertificate"})
_LIST = "SendLocalList"
_ORDERS = frozenset({"UpdateFirmware", "SignedUpdateFirmware"})


def set_in(texts: Iterable[str]) -> SetSince:
    """What these frames set. A frame that is no call of ours says nothing."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    actions: set[str] = set()
    for text in texts:
        call = frames.parse(text, OCPP21)
        if isinstance(call, Call):
            actions.add(call.action)
            for told in (told_16, told_2x):
                for name, value in told.values_set(call.action, call.payload).items():
                    values[name].add(value)
    every = {name: frozenset(found) for name, found in values.items()}
    return SetSince(every, bool(actions & _ROOTS), _LIST in actions, bool(actions & _ORDERS))
