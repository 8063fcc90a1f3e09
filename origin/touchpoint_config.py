"""What `usher.toml` may say about one touchpoint: its variants, how it learns, which levels it may reach."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from origin.catalogue import LONGEST_NAME, NAME
from shared.records import MOST_SLOTS

PAGE: Final = r"^/[^?#\s]*$"
LONGEST_PHRASE: Final = 200

Name = Annotated[str, StringConstraints(pattern=NAME, max_length=LONGEST_NAME)]
Page = Annotated[str, StringConstraints(pattern=PAGE)]
Phrase = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PHRASE)]
Interest = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
Epoch = Literal["session", "day", "week", "snapshot", "forever"]
Level = Literal["individual", "cluster", "segment", "global"]


class Section(BaseModel):
    """A table of the file: its keys are the fields, what they mean stands in their docstrings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ShiftConfig(Section):
    """What the site team expects a feature to do to a variant before there is any data, in log-odds of reward."""

    mean: float = Field(ge=-10, le=10, examples=[0.4])
    """By how much the variant's log-odds of reward move where the feature is 1. 0.4 is half as many rewards again."""
    sd: float = Field(ge=0, le=10, examples=[0.2])
    """How unsure that is: its standard deviation. The less sure, the more the variant is explored there."""


class VariantConfig(Section):
    """One candidate for a touchpoint."""

    name: Name = Field(examples=["summer"])
    """Name of the variant, unique within the touchpoint."""
    html: str | None = Field(default=None, examples=["<h1>Summer is here</h1>"])
    """What stands in the slot. The default variant may leave it out: then the page's own content stays."""
    floor: float = Field(default=0.0, ge=0, le=1, examples=[0.05])
    """Least share of decisions the variant gets while it is eligible; the floors of those that are sum to 1 at most."""
    cap: float = Field(default=1.0, gt=0, le=1, examples=[0.5])
    """Largest share of decisions the variant gets; all caps of a touchpoint sum to 1 at least."""
    min_impressions: int = Field(default=0, ge=0, examples=[500])
    """Decisions the variant must get within each of the touchpoint's evaluation periods, however it does."""
    interests: tuple[Interest, ...] = Field(default=(), strict=False, examples=[["tailoring"]])
    """Interests the variant speaks to, as the visitor's primary interest (`interest` of `[site]`) names them."""
    condition: dict[str, Any] | None = Field(default=None, examples=[{"device": "mobile"}])
    """Who may see the variant, in GrowthBook's condition syntax; without it, everybody."""
    because: Phrase | None = Field(default=None, examples=["you have read two of our case studies"])
    """Why those whom its condition names are shown it: what a visitor who asks reads after "because"."""
    shifts: dict[str, ShiftConfig] = Field(default={}, examples=[{"session.referral=search": {"mean": 0.4, "sd": 0.2}}])
    """What is known beforehand of how features of the visit (`session.referral=search`) move the variant's success."""


class CatalogueConfig(Section):
    """Variants from a CSV file, one a row."""

    file: str = Field(min_length=1, examples=["products.csv"])
    """Path of the CSV file (UTF-8, first line the column names), relative to usher.toml."""
    name: str = Field(min_length=1, examples=["item-{item_id}"])
    """Name of each row's variant; `{column}` stands for the row's value."""
    html: str = Field(examples=['<a href="/p/{item_id}">{title}</a>'])
    """HTML of each row's variant; `{column}` stands for the row's value, escaped. Keep attribute values in quotes."""
    floor: float = Field(default=0.0, ge=0, le=1, examples=[0.005])
    """Least share of decisions that each row gets."""
    cap: float = Field(default=1.0, gt=0, le=1, examples=[0.5])
    """Largest share of decisions that each row gets."""
    min_impressions: int = Field(default=0, ge=0, examples=[100])
    """Decisions that each row must get within each of the touchpoint's evaluation periods."""
    interests: tuple[Interest, ...] = Field(default=(), strict=False, examples=[["{category}"]])
    """Interests each row speaks to; `{column}` stands for the row's value, and what is empty is left out."""


class LearningConfig(Section):
    """How a touchpoint learns."""

    min_segment_decisions: int = Field(default=1000, ge=0, examples=[1000])
    """From how many decisions on a segment gets posteriors of its own; below, it uses those of all visitors."""
    min_person_decisions: int = Field(default=5, ge=1, examples=[5])
    """From how many decisions on a person gets posteriors of their own, where the touchpoint has reached that level.
    The smallest of all touchpoints is also how many a person needs for conditions to find anything below `profile`."""
    evaluation_days: int = Field(default=14, ge=1, le=366, examples=[14])
    """Length of the evaluation periods within which `min_impressions` are due; they follow each other since 1970."""


class LevelsConfig(Section):
    """Which levels of posteriors a touchpoint may use, and what must be there before it uses a finer one."""

    finest: Level = Field(default="individual", examples=["individual"])
    """The finest level that is allowed. A finer one than `segment` is reached only with enough data and proven gain."""
    individual_ttl_h: float = Field(default=48.0, gt=0, examples=[48])
    """How old a profile may be, in hours, for its own posteriors to be used."""
    cluster_ttl_h: float = Field(default=720.0, gt=0, examples=[720])
    """How old a profile may be, in hours, for the cluster it names to be used."""
    cluster_min_people: int = Field(default=10_000, ge=0, examples=[10000])
    """People with decisions on the touchpoint before the cluster level is used."""
    cluster_min_days: int = Field(default=90, ge=0, examples=[90])
    """Days with decisions on the touchpoint before the cluster level is used."""
    individual_min_people: int = Field(default=10_000, ge=0, examples=[10000])
    """People with decisions on the touchpoint before the individual level is used."""
    individual_min_days: int = Field(default=90, ge=0, examples=[90])
    """Days with decisions on the touchpoint before the individual level is used."""
    require_gain: bool = Field(default=True, examples=[True])
    """Whether a finer level also needs a proven gain over the holdout at the coarser ones. Turn off to try it out."""


class TouchpointConfig(Section):
    """A place that is personalised. Its variants are listed (`variants`) or come from a file (`catalogue`)."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["variants"]}, {"required": ["catalogue"]}]})

    goal: Name = Field(examples=["signup"])
    """Name of the goal that rewards the variants, one of `[goals.…]`."""
    default: Name = Field(examples=["house"])
    """Name of the variant that the holdout sees, and everybody when anything fails."""
    pages: tuple[Page, ...] = Field(min_length=1, strict=False, examples=[["/", "/men/*"]])
    """URL path patterns the touchpoint occurs on; `*` stands for any text."""
    epoch: Epoch = Field(default="session", examples=["session"])
    """How long a visitor keeps the variant before a new decision. For a person with several devices, which are to show
    the same, a session lasts as long as the UTC day on which it began."""
    variants: tuple[VariantConfig, ...] = Field(default=(), strict=False, examples=[[{"name": "house"}]])
    """The candidates, one `[[touchpoints.….variants]]` each."""
    catalogue: CatalogueConfig | None = Field(default=None, examples=[{"file": "products.csv"}])
    """The candidates as rows of a CSV file."""
    interest_share: float = Field(default=0.2, ge=0, le=1, examples=[0.2])
    """Least share of variants with other interests than the visitor's primary one, where variants name interests and
    `[site]` says where the primary one is: nobody is shown one thing only."""
    slots: int = Field(default=1, ge=1, le=MOST_SLOTS, examples=[3])
    """How many variants are shown at once, ranked."""
    interest_slots: tuple[int, ...] = Field(default=(), strict=False, examples=[[3]])
    """Positions (the first is 1) of the ranked list that are kept for variants of other interests."""
    levels: LevelsConfig = Field(default=LevelsConfig(), examples=[{"finest": "segment"}])
    """Which levels of posteriors may be used, and from when on."""
    learning: LearningConfig = Field(default=LearningConfig(), examples=[{"min_segment_decisions": 1000}])
    """How the touchpoint learns."""
    _expanded: tuple[VariantConfig, ...] = ()

    @property
    def expanded_variants(self) -> tuple[VariantConfig, ...]:
        """The variants, whether they are listed or come from a catalogue that `load_config` has read."""
        return self.variants or self._expanded
