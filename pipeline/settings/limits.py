"""Settings of what a request may ask for: what would need more is refused before any job starts."""

from pydantic import Field

from pipeline.settings.base import Count, Positive, Slice


class LimitsSettings(Slice):
    """What a request may need, and how fast one is thought to be carried out."""

    memory_gb: Positive
    days: Positive
    gflop_per_s: Positive
    experiments: Count
    runs: Count
    positions: Count
    characters: int = Field(ge=100, le=4000)  # Python reads no number of more digits
