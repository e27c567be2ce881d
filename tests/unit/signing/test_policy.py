"""What people sign beside the delegations is read exactly, or not at all."""

from dataclasses import replace

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Targets

from signing.errors import VerificationFailed
from signing.policy import FIELD, Approver, ModelTrust, TrustPolicy, read_policy, write_policy

KEYS = [CryptoSigner.generate_ed25519().public_key for _ in range(3)]
PLAIN = TrustPolicy({KEYS[0].keyid: KEYS[0]})
FULL = TrustPolicy(
    {KEYS[0].keyid: KEYS[0]},
    {"acme": ("PEM",)},
    {key.keyid: Approver(name, key) for name, key in zip(("ada", "bob"), KEYS[1:], strict=True)},
    2,
    {("Acme", "V"): ModelTrust(7, "Ada: none offered"), ("Acme", "W"): ModelTrust(3)},
)


def read(raw: object) -> TrustPolicy:
    return read_policy(Targets(unrecognized_fields={FIELD: raw}))


@pytest.mark.requirement("S17")
def test_what_is_written_is_read_again_and_nothing_is_written_that_is_not_used() -> None:
    for policy in (PLAIN, FULL):
        assert read(write_policy(policy)) == policy
    assert set(write_policy(PLAIN)) == {"directive_keys", "manufacturer_roots"}


@pytest.mark.requirement("S17", "S37")
@pytest.mark.parametrize(
    "edit",
    [
        {"approvers": []},
        {"approvers": {"k": {"name": "ada"}}},
        {"approvers": {KEYS[1].keyid: {"name": 7, "key": KEYS[1].to_dict()}}},
        {"approval_threshold": "1"},
        {"approval_threshold": 3},
        {"approval_threshold": 0},
        {"models": {}, "approvers": 7},
        {"models": [{"vendor": "A", "model": "B"}]},
        {"models": [{"vendor": "A", "model": "B", "minimum_counter": "1", "unsafe_unsigned_waiver": None}]},
        {"models": [{"vendor": "A", "model": "B", "minimum_counter": 1, "unsafe_unsigned_waiver": ""}]},
        {"models": [{"vendor": "A", "model": "B", "minimum_counter": 1, "unsafe_unsigned_waiver": True}]},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_whole(edit: dict[str, object]) -> None:
    with pytest.raises(VerificationFailed):
        read(write_policy(FULL) | edit)


@pytest.mark.requirement("S2", "S5")
def test_one_key_is_not_two_people_nor_a_server_one_of_them() -> None:
    twin = SSlibKey("twin", "ed25519", "ed25519", {"public": KEYS[1].keyval["public"].upper()})
    twice = replace(FULL, approvers={**FULL.approvers, "twin": Approver("carl", twin)})
    with pytest.raises(VerificationFailed, match="the same key"):
        read(write_policy(twice))
    online = replace(FULL, approvers={KEYS[0].keyid: Approver("ada", KEYS[0])}, approval_threshold=1)
    with pytest.raises(VerificationFailed, match="directive key"):
        read(write_policy(online))
