"""Every attention head of a transformer: what it does, and how we know.

The modules of this package are the stages: each reads files, calls the mathematics and writes tables, as the STAGE of
its settings module declares. docs/architecture.md draws who may import whom.

Its front door in Python is two functions, `import pipeline as headscope`: they find what answers by name, for it is
no code of the stages.
"""

import importlib
from typing import Any


def load(model: str, **options: Any) -> Any:
    """Read a model and verify it: a `Model`, of `pipeline.ask`; arguments and errors as of its `load`."""
    return importlib.import_module("pipeline.ask.loading").load(model, **options)


def study(folder: str) -> Any:
    """Return a finished study, whose tables are its attributes: a `Study`, of `pipeline.ask`."""
    return importlib.import_module("pipeline.ask.study").study_in(folder)
