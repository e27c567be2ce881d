"""Wires: OCPP in all dialects to and from one canonical language; twins are projected here."""
