"""Every reason why a signing request is refused has a next step of its own."""

import ast
from pathlib import Path

import pytest

import activities.certificates
import csms.signing_request
import signing.ca.csr
from storage.certificate_advice import _ELSE, next_step

_OURS = (signing.ca.csr, activities.certificates, csms.signing_request)
_NO_REASON = {"the request is one of ?"}
"""Nobody's request: an order for another charger."""


def sentences(module: object) -> list[str]:
    """What a module yields, appends or returns as a reason, with ? for what is filled in."""
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    found = [_text(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Constant)]
    starts = ("its ", "it ", "a key", "a ?", "the charger", "the request", "no authority", "not a signing")
    return [
        each
        for each in found
        if each.startswith(starts) and not each.endswith((".", " ")) and " " in each[4:]
    ]


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "?" for part in node.values)  # type: ignore[misc]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


REASONS = sorted({each for module in _OURS for each in sentences(module)} - _NO_REASON)


def test_the_reasons_are_read_from_the_code() -> None:
    assert len(REASONS) > 20
    assert "its common name is ?, and the charger that asks is ?" in REASONS


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_of_ours_has_a_next_step(reason: str) -> None:
    assert next_step((reason,)) != _ELSE


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("its common name is 'X', and the charger that asks is SN-1 or CP-1", "serial number"),
        ("its common name is also that of CP-2", "of its own"),
        ("its signature is not that of its key: whoever asks does not hold the key", "do not hold"),
        ("its key is that of another charger's certificate (F36)", "Two chargers share one key"),
        ("its key is that of a revoked certificate; a new key is needed", "new key pair"),
        ("its key is RSA 1024; 2048 to 8192 bits are taken", "P-256"),
        ("it asks to be an authority (CA:TRUE)", "No charger is an authority"),
        ("it got 10 certificates within a day; 10 at most", "wait a day"),
    ],
)
def test_a_reason_has_the_step_that_ends_it(reason: str, words: str) -> None:
    assert words in next_step((reason,))


def test_what_an_outside_authority_says_has_a_step_too() -> None:
    assert next_step(("policy 17 violated",)) == next_step(()) == _ELSE
    assert "P-256" in next_step(("policy 17 violated", "a key of RSA 1024 is too short"))
