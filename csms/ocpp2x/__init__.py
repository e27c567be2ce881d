"""OCPP 2.0.1 and 2.1, to and from the canonical language. What 2.1 adds, it adds to the same tables."""

from csms.ocpp2x.dialect import Ocpp2x, ocpp21, ocpp201

__all__ = ["Ocpp2x", "ocpp21", "ocpp201"]
