"""`headscope run KEY=VALUE ...`: a request whose settings are written as they are, handed on to Snakemake.

Snakemake's own --config takes no dotted key, reads values as YAML and keeps the last of two: what is wrong with a
request is said here before.
"""

import itertools
import os
import re
import shlex
import sys
from pathlib import Path

from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.planner import plan
from pipeline.plumbing.request import KEYS, refuse_twice

HOME = Path(__file__).resolve().parents[2]
USAGE = "headscope run KEY=VALUE ... [Snakemake's options, such as -n or -c 4]"


def main(arguments: list[str]) -> int:
    """Check what was asked for, show Snakemake's call, and become it: what is meant to stop one stops the other."""
    try:
        call = called(arguments)
        print(shlex.join(call), file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, "-m", *call])
    except ConfigError as error:
        print(f"config error: {error}", file=sys.stderr)
    return 1


def called(arguments: list[str]) -> list[str]:
    """Return Snakemake's command line for what follows `headscope run`.

    Raises:
        ConfigError: what was asked for cannot be carried out, or not be said to Snakemake.
    """
    asked = list(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments))
    if wrong := [each for each in asked if "=" not in each]:
        raise ConfigError(f"{wrong[0]}: is no KEY=VALUE; write {USAGE}")
    refuse_twice(asked)
    pairs = [each.split("=", 1) for each in asked]
    config = {key: value for key, value in pairs if key in KEYS}
    settings = [re.sub(r"([\s'\"\\])", r"\\\1", f"{key}={value}") for key, value in pairs if key not in KEYS]
    if settings:
        config["overrides"] = " ".join(filter(None, [config.get("overrides"), *settings]))
    plan(config)
    # Snakemake takes quotes away from the ends of a value, and spaces after that.
    said = [f"{key}={value}" + " " * value.endswith(("'", '"')) for key, value in config.items()]
    snakefile = [] if Path("Snakefile").exists() else ["--snakefile", str(HOME / "Snakefile")]
    options = [*snakefile, *arguments[len(asked) :]]
    return ["snakemake", *options, *(["--config", *said] if said else [])]
