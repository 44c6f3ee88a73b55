"""The JSON schema of all settings: `python -m pipeline.documentation.settings > conf/schema.json`."""

import json

from pydantic.json_schema import models_json_schema

from pipeline.plumbing import graph
from pipeline.plumbing.compose import compose

# A group of conf/ that stages share: the stage whose settings say what it may be.
GROUPS = {"data": "prepare", "tokenizer": "prepare", "model": "train"}


def schema() -> str:
    """Return the schema of a composed configuration: names, types and ranges, as editors and validators read them."""
    settings = {stage: graph.settings_of(stage) for stage in graph.STAGES}
    limits = {name: graph.settings_of(name) for name in ("limits", "ask")}
    _, definitions = models_json_schema([(each, "validation") for each in (settings | limits).values()])
    slices = definitions["$defs"]
    composed = compose((), (), "base", 0)
    for stage, each in settings.items():
        # What the planner tells a stage of the study is no setting.
        told = [name for name in slices[each.__name__]["properties"] if name not in composed[stage]]
        for name in told:
            del slices[each.__name__]["properties"][name]
            slices[each.__name__]["required"].remove(name)
    groups = {group: slices[settings[stage].__name__]["properties"][group] for group, stage in GROUPS.items()}
    stages = {stage: {"$ref": f"#/$defs/{each.__name__}"} for stage, each in (settings | limits).items()}
    said = {
        name: {"type": "string" if name == "question" else "number"}
        for name in sorted(composed.keys() - groups.keys() - stages.keys())
    }
    page = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "headscope: conf/ as composed",
        "type": "object",
        "properties": dict(sorted((groups | stages | said).items())),
        "additionalProperties": False,
        "$defs": _reached(slices, [*groups.values(), *stages.values()]),
    }
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def _reached(definitions: dict[str, dict], schemas: list[dict]) -> dict[str, dict]:
    """Return the definitions that schemas refer to, directly or by others."""
    reached: dict[str, dict] = {}
    waiting = json.dumps(schemas)
    while new := {name for name in definitions if f'#/$defs/{name}"' in waiting} - reached.keys():
        reached |= {name: definitions[name] for name in new}
        waiting = json.dumps([definitions[name] for name in new])
    return dict(sorted(reached.items()))


if __name__ == "__main__":
    print(schema(), end="")
