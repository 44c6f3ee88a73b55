"""Settings of questions that are asked without a study."""

from pipeline.settings.base import Count, Slice


class AskSettings(Slice):
    """On how much a model is verified and measured when a person waits."""

    verified_tokens: Count
    sentences: Count
    ranked_tokens: Count
    shared_tokens: Count
    patched_heads: Count
    exported: Count
