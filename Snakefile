"""Every file of a study, what makes it, and what it is made from.

What a stage reads and writes is declared in pipeline/settings/<stage>.py; the rules are in workflow/rules/.
"""

import hashlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

from snakemake.utils import min_version

min_version("9.27")

# Jobs run the code and follow the plan that their study started with, a copy in results/store/frozen: whatever is
# edited meanwhile waits for the next call. Where a job reads this file anew, its plan is named by the environment.
PLAN_VARIABLE = f"HEADSCOPE_PLAN_{hashlib.sha256(repr(sorted(config.items())).encode()).hexdigest()[:8].upper()}"
if workflow.is_main_process:
    home = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    if not home.is_dir():  # this file came alone, from a repository's address: the rest is what is installed
        installed = find_spec("pipeline")
        home = Path(installed.origin).parents[1] if installed and installed.origin else home
        if not (home / "workflow/rules").is_dir():
            sys.exit("config error: this workflow's code is not installed; clone it and run: pip install -e FOLDER")
    FROZEN = run_path(str(home / "pipeline/plumbing/freeze.py"))["freeze"](home)
else:
    FROZEN = Path(os.environ[PLAN_VARIABLE]).parents[1]
sys.path.insert(0, str(FROZEN))


include: FROZEN / "workflow/rules/common.smk"
include: FROZEN / "workflow/rules/run.smk"
include: FROZEN / "workflow/rules/study.smk"
include: FROZEN / "workflow/rules/apart.smk"


report: "workflow/report/workflow.rst"


envvars:
    PLAN_VARIABLE,


localrules:
    all,
    benchmark,


rule all:
    default_target: True
    input:
        WANTED,
