"""Firmware updates as the cases ask for them: really signed, for an image that a manufacturer made."""

import itertools
from datetime import timedelta
from functools import cache
from typing import Any

from csms.commands import UpdateFirmware
from storage.charger import SignatureScheme
from storage.clock import system_clock
from tests.support.maker import Maker, found_maker

IMAGE = b"the image of version 2.0"
_IDS = itertools.count(4711)


@cache
def maker() -> Maker:
    """The manufacturer of the stations here."""
    return found_maker(system_clock())


def signed_update(**more: Any) -> UpdateFirmware:
    """A signed update to ``IMAGE``, with a request id of its own."""
    signature, certificate = maker().sign(SignatureScheme.ECDSA_P256, IMAGE)
    given = {"retrieve_at": system_clock(), "signing_certificate": certificate, "signature": signature}
    location = "https://ampwave.example/d/a-ticket-of-this-charger"
    return UpdateFirmware(**{"request_id": next(_IDS), "location": location, **given, **more})


def plain_update() -> UpdateFirmware:
    """An update as plain 1.6 knows it."""
    return UpdateFirmware(next(_IDS), "http://ampwave.example/d/a-ticket", system_clock())


def in_an_hour() -> Any:
    """A time that a station has to wait for."""
    return system_clock() + timedelta(hours=1)
