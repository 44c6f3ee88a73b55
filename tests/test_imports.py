"""Who may import whom: the law is the picture in docs/architecture.md."""

import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

from pipeline.plumbing import graph

ROOT = Path(__file__).resolve().parents[1]
MODULES = grimp.build_graph("pipeline", include_external_packages=True, cache_dir=None)
STAGE_MODULES = {f"pipeline.{stage}" for stage in graph.STAGES}
ARROWS = set(re.findall(r"^ *(\w+) --> (\w+)$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE))


def room_of(module):
    """The room of a module of ours: a package of pipeline/ or of circuits/, or `stages`."""
    _, *path = module.split(".")
    if path[:1] == ["circuits"]:
        return path[1] if len(path) > 1 else None
    if path and not (ROOT / "pipeline" / path[0]).is_dir():
        return "stages"
    return path[0] if path else None


def imports():
    """Every import of a room of ours by another, with the modules that make it."""
    made = {}
    for module in MODULES.modules:
        if module.startswith("pipeline."):
            for other in MODULES.find_modules_directly_imported_by(module):
                rooms = (room_of(module), room_of(other)) if other.startswith("pipeline.") else (None, None)
                if None not in rooms and rooms[0] != rooms[1]:
                    made.setdefault(rooms, []).append(f"{module} imports {other}")
    return made


def test_every_import_between_rooms_is_an_arrow():
    assert {rooms: modules for rooms, modules in imports().items() if rooms not in ARROWS} == {}


def test_every_arrow_is_used():
    assert ARROWS - imports().keys() == set()


def test_every_room_is_in_the_picture():
    rooms = {room_of(module) for module in MODULES.modules if module.startswith("pipeline.")} - {None}
    assert rooms == {room for arrow in ARROWS for room in arrow}


def test_no_room_imports_itself_by_a_detour():
    above = {}
    for room, imported in ARROWS:
        above.setdefault(room, set()).add(imported)
    TopologicalSorter(above).prepare()  # CycleError names the rooms


def test_mathematics_reads_no_files():
    inside = {"pipeline.circuits", *MODULES.find_descendants("pipeline.circuits")}
    imported = {name for module in inside for name in MODULES.find_modules_directly_imported_by(module)}
    assert not imported & {"pandas", "pyarrow", "pathlib", "os", "json", "hydra", "transformers"}


def test_a_networks_own_forward_pass_shares_no_code_with_what_is_held_against_it():
    assert not MODULES.find_upstream_modules("pipeline.models.attention_only") & set(
        MODULES.find_descendants("pipeline")
    )
    own = MODULES.find_upstream_modules("pipeline.models.own_forward") & MODULES.find_descendants("pipeline.circuits")
    assert own == {"pipeline.circuits.transformer.weights"}  # names, no mathematics


def test_no_stage_imports_a_stage():
    for stage in STAGE_MODULES:
        assert not MODULES.find_modules_directly_imported_by(stage) & STAGE_MODULES


def test_the_snakefile_imports_neither_torch_nor_transformers():
    names = ["plumbing.planner", "settings.figures", *(f"settings.{stage}" for stage in graph.STAGES)]
    reached = {found for name in names for found in MODULES.find_upstream_modules(f"pipeline.{name}")}
    assert not reached & {"torch", "transformers", "matplotlib", "pandas"}


def test_freezing_needs_the_standard_library_alone():
    # It runs before anything of ours is imported.
    for module in ("freeze", "disk"):
        imported = MODULES.find_modules_directly_imported_by(f"pipeline.plumbing.{module}")
        assert imported <= sys.stdlib_module_names, module
