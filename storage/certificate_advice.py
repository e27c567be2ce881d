"""What to do about a signing request that was refused: the next step for each reason. Pure.

Reasons are sentences of whoever judged it (``signing.ca.csr``, the signer, a node, an outside authority);
a test holds this list against all of ours.
"""

from collections.abc import Sequence

_STEPS = (
    (
        ("common name is also that of",),
        "Give each charger a serial number of its own (ampwave charger list), then have it ask again.",
    ),
    (
        ("common name",),
        "Set its serial number at the charger, or correct it here, so that both are the same; then renew it.",
    ),
    (("organization",), "Set the organization at the charger (OrganizationName, CpoName), then renew it."),
    (
        ("is that of another charger's certificate",),
        "Two chargers share one key: set the second one aside and have its maker give it a key of its own.",
    ),
    (
        ("its key is that of", "a new key is needed"),
        "The charger has to make a new key pair for each request: update its firmware, or ask its maker.",
    ),
    (
        (
            "its signature",
            "characters",
            "not one signing request",
            "be read as a signing request",
            "signing request that can be read",
        ),
        "Its firmware makes requests that do not hold: update it, or tell its maker.",
    ),
    (
        ("its key", "a key of", "rsa key", "exponent"),
        "Have it make a P-256 key or RSA of at least 2048 bits: its settings, or a firmware update.",
    ),
    (
        ("authority (ca:true)", "as an authority does"),
        "No charger is an authority: find out who asks, and set it aside if nobody can say.",
    ),
    (("within a day",), "It asked too often: find out why it asks, then wait a day."),
    (("the charger is ",), "Release it from quarantine first; a retired one gets none."),
    (("own ecosystem",), "V2G certificates come from their own authority; nothing to do here."),
    (("no authority is configured",), "Set AMPWAVE_SIGNER_CA or AMPWAVE_SIGNER_EST_URL at the signer."),
    (("own certificate is not valid",), "Make a new issuing certificate below the root (ampwave cert ca)."),
)
_ELSE = "Ask whoever issues for more, then have the charger ask again (ampwave cert renew)."


def next_step(reasons: Sequence[str]) -> str:
    """For the first reason that has one; it has to go before the others matter."""
    found = [step for reason in reasons if (step := _step(reason.lower()))]
    return found[0] if found else _ELSE


REFUSED = "its request was refused: "
"""How a renewal says that whoever issues said no."""


def step_after(reason: str) -> str:
    """For what became of a charger in a renewal; empty where no request was refused."""
    return next_step((reason.removeprefix(REFUSED),)) if reason.startswith(REFUSED) else ""


def _step(reason: str) -> str | None:
    return next((step for words, step in _STEPS if any(each in reason for each in words)), None)
