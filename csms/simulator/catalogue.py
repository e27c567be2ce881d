"""All personalities: whatever file there is in ``brands``."""

from importlib import import_module
from pkgutil import iter_modules

from csms.simulator import brands
from csms.simulator.personality import Personality


def _found() -> dict[str, Personality]:
    found: dict[str, Personality] = {}
    for module in sorted(iter_modules(brands.__path__), key=lambda module: module.name):
        personality: Personality = import_module(f"{brands.__name__}.{module.name}").PERSONALITY
        found[personality.name] = personality
    return found


EVERYBODY = _found()
PERSONALITIES = {name: one for name, one in EVERYBODY.items() if not one.local_controller}
"""Chargers; a fleet has all of them where nobody says otherwise."""
CONTROLLERS = {name: one for name, one in EVERYBODY.items() if one.local_controller}
"""Chargers that are the local controller of their site, which nobody has who does not ask for one."""
