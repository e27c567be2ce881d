"""A charger model at the door: what is declared of it, what its brand is known for, what was learned."""

from typing import Annotated

from pydantic import Field

from api.schemas.common import Body, Flag, Label, Reply, Sentence, Whole
from storage.capability import CertificateForm, Declared
from storage.charger import ModelProfile, SignatureScheme
from storage.learned import Step

Transfer = Annotated[str, Field(pattern=r"^[A-Z]{2,8}$", examples=["HTTPS"])]


class DeclaredBody(Body):
    """What the operator knows better than the chargers tell; null: their own word counts."""

    updates: Flag | None = Field(default=None, description="Whether they take firmware at all.")
    signed_update: Flag | None = None
    transfers: tuple[Transfer, ...] | None = Field(
        default=None, max_length=8, description="How they fetch an image: HTTP, HTTPS, FTP, FTPS, SFTP."
    )
    certificate_form: CertificateForm | None = None
    certificate_chain_chars: Whole | None = Field(default=None, ge=1, le=1_000_000)
    items_per_get: Whole | None = Field(default=None, ge=1, le=100_000)
    items_per_set: Whole | None = Field(default=None, ge=1, le=100_000)
    bytes_per_message: Whole | None = Field(default=None, ge=1, le=100_000_000)
    goes_back: Flag | None = Field(
        default=None, description="Whether they take an earlier version again; false: an update is for good."
    )

    holds_install: Flag | None = Field(
        default=None,
        description="Whether they can fetch an image and wait with its install until they are told; "
        "false: they get both in one order, whatever a plan says.",
    )

    def to_noun(self) -> Declared:
        """The same as a noun."""
        return Declared(**dict(self))


class ModelBody(Body):
    """What holds for every charger of a model."""

    vendor: Label
    model: Label
    signature_scheme: SignatureScheme = SignatureScheme.ECDSA_P256
    unsafe_unsigned_waiver: Sentence | None = Field(
        default=None,
        description="Who allowed unsigned updates for this model, and why; null: never. "
        "It has to stand in the signed policy, too.",
    )
    needs_reset_after_install: Flag = False
    reboot_seconds: Whole = Field(default=600, ge=1, le=86400)
    declared: DeclaredBody = Field(default_factory=DeclaredBody)
    veto_variable: Label | None = Field(
        default=None,
        description="A configuration variable by which its chargers say that they take no update now.",
        examples=["UpdateAllowed"],
    )
    veto_value: Label | None = Field(default=None, description="The value that says so.", examples=["false"])

    def to_noun(self) -> ModelProfile:
        """The profile."""
        return ModelProfile(**{**dict(self), "declared": self.declared.to_noun()})


class SpreadReply(Reply):
    """Seconds over all samples."""

    samples: int
    p50: float
    p95: float
    longest: float


class StageReply(Reply):
    """From one step of an update to the next."""

    begins: Step
    ends: Step
    seconds: SpreadReply


class LearnedReply(Reply):
    """What the updates of this model have looked like."""

    from_version: str | None
    attempts: int = Field(description="Accepted updates that were looked at, the newest at most 200.")
    succeeded: int = Field(description="Those after which another version booted; only they teach.")
    order: tuple[Step, ...]
    order_share: float = Field(description="How many of them showed the steps in exactly this order.")
    never: tuple[Step, ...] = Field(description="Steps of the standard that none of them showed.")
    stages: tuple[StageReply, ...]
    reboot: SpreadReply | None
    whole: SpreadReply | None = Field(description="From the command to the boot.")


class QuirkReply(Reply):
    """What chargers of this brand do otherwise, with the evidence."""

    name: str
    evidence: str


class ModelReply(Reply):
    """Declared beside learned."""

    vendor: str
    model: str
    profile: ModelBody | None = Field(description="As an operator stored it; null: nobody did.")
    quirks: tuple[QuirkReply, ...] = Field(description="Those that hold whatever firmware runs.")
    learned: LearnedReply
