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


PERSONALITIES = _found()
