"""OCPP 1.6J with the security extension (whitepaper edition 3), to and from the canonical language.

A connector n of 1.6 is connector 1 of EVSE n; connector 0 is the whole charge point (EVSE 0).
"""

from csms.ocpp16.dialect import Ocpp16

__all__ = ["Ocpp16"]
