import pytest

from api.logs import redact


@pytest.mark.requirement("S43")
@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("GET /d/Zm9vYmFy-_1 206", "GET /d/[redacted] 206"),
        ("PUT /u/Zm9vYmFy-_1/a.log 201", "PUT /u/[redacted]/a.log 201"),
        (r"it said http:\/\/x\/u\/Zm9vYmFy-_1", r"it said http:\/\/x\/u\/[redacted]"),
        ("token amp_0a1b2c_abcDEF-_9 refused", "token amp_0a1b2c_[redacted] refused"),
        ("Authorization: Basic Q1A6c2VjcmV0", "Authorization: Basic [redacted]"),
        ("charger CP-7 booted 1.1", "charger CP-7 booted 1.1"),
    ],
)
def test_tickets_tokens_and_credentials_never_reach_a_log(line, clean):
    assert redact(line) == clean
