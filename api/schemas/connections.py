"""Chargers' connections at the door: security profiles, networks, passwords, and the doors there are."""

from typing import Annotated

from pydantic import Field

from api.schemas.certificates import RenewalBody, Root
from api.schemas.common import Label, Reply, Whole


class _WayBody(RenewalBody):
    endpoint: Label = Field(default="main", description="One of `GET /api/v1/connections/endpoints`.")
    root: Root | None = Field(
        default=None, description="Of the server's chain at that door, PEM; for a door with TLS."
    )
    interface: Label = Field(default="Wired0", description="OCPP 2.x: Wired0 to 3, Wireless0 to 3.")
    message_timeout_s: Annotated[Whole, Field(ge=5, le=600)] = 30
    slot: Annotated[Whole, Field(ge=0, le=100)] = Field(
        default=0, description="2.x; never the one in use. 0: one that is free."
    )


class UpgradeBody(_WayBody):
    """A higher security profile for many chargers, in waves: for good, once a charger came with it."""

    profile: Annotated[Whole, Field(ge=2, le=3)]


class NetworkBody(_WayBody):
    """Another way to us for many chargers (2.x), in waves: a spare slot, and a deadline to call back by."""

    profile: Annotated[Whole, Field(ge=1, le=3)] | None = Field(
        default=None,
        description="Of the chargers that are meant; left out: the door with TLS if there is one.",
    )


class RotationBody(RenewalBody):
    """New passwords for many chargers, in waves."""


class EndpointReply(Reply):
    """One way to reach us."""

    name: str
    ws: str | None = Field(description="The door of security profile 1.")
    wss: str | None = Field(description="The door of security profiles 2 and 3.")
    apn: str = Field(description="The private APN it is reached by; chargers are told.")
    vpn: str = Field(description="The tunnel it is reached through; only kept.")
