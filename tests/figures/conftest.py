"""Small tables of a made-up study: two experiments, two seeds, two layers of three heads, eight tokens."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from pipeline.tables.judge.head_roles import HEAD_ROLES

LAYERS, HEADS, LENGTH, SEEDS = 2, 3, 8, (0, 1)
TOKENS = ["[BEGIN]", "We", "Ġdog", r"$\alpha_", "Ċ", "We", "Ġdog", "<0x80>"]
PREVIOUS, INDUCTION = (0, 1), (1, 2)  # the heads that were made to be best

MADE_UP = (
    *("term_maps", "attention_terms", "offset_profiles", "head_scores", "head_pairs", "virtual_heads", "spectra"),
    "distance_scores",
    *(
        "training_curve",
        "loss_by_position",
        "sentence_losses",
        "claims",
        "challenge_scores",
        "head_roles",
        "ablations",
        "paths",
        "contributions",
    ),
    *("set_ablations", "set_curves", "role_coverage"),
    *("validity", "checkpoint_scores", "emergence", "effects", "vocab_pairs", "benchmark", "known_answers", "stages"),
    *("definition_power", "definition_curves", "injected_bugs"),
)
KINDS = (("all", 0.7, 0.2), ("wired", 1.0, 0.0), ("weak", 0.5, 0.0), ("look_alike", 0.7, 0.3))
CONFIDENCE = 0.9  # not the usual one, so that who says the usual one without asking is found out
SIGNIFICANCE = 0.02
SURE = {"confidence": CONFIDENCE, "significance": SIGNIFICANCE}
SOURCE = {"source": "a paper", "gauge_invariant": True, "confidence": 0.95}


def runs(frame: pd.DataFrame, experiments=("base", "other")) -> pd.DataFrame:
    """Repeat one run's rows for every experiment and seed."""
    return pd.concat(
        [frame.assign(experiment=experiment, seed=seed) for experiment in experiments for seed in SEEDS],
        ignore_index=True,
    )


def grid(**columns) -> pd.DataFrame:
    """Every combination of the values of some columns, with layer and head first."""
    names = ["layer", "head", *columns]
    return pd.DataFrame(product(range(LAYERS), range(HEADS), *columns.values()), columns=names)


def sources(layer: int) -> list[tuple[str, str]]:
    """Source pairs of a layer as the decompose stage lists them: each source, the grouping, the total."""
    fine = ["token", "position", *(f"0.{head}" for head in range(HEADS) if layer)]
    grouped = product(["stream", "position"], repeat=2)
    return list(dict.fromkeys([*product(fine, repeat=2), *grouped, ("total", "total")]))


@pytest.fixture
def term_maps() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = []
    for layer, head in product(range(LAYERS), range(HEADS)):
        for query_source, key_source in [*product(["stream", "position"], repeat=2), ("total", "total")]:
            for query in range(LENGTH):
                for key in range(query + 1):
                    pattern = 1 / (query + 1) if query_source == "total" else None
                    entry = (query, key, TOKENS[query], TOKENS[key], random.normal(), pattern)
                    rows.append((layer, head, query_source, key_source, *entry))
    names = [
        "layer",
        "head",
        "query_source",
        "key_source",
        "query",
        "key",
        "query_token",
        "key_token",
        "score",
        "pattern",
    ]
    return runs(pd.DataFrame(rows, columns=names))


@pytest.fixture
def attention_terms() -> pd.DataFrame:
    rows = [
        (layer, head, *pair, "share", "all", keys, more + 0.2 + 0.01 * place, 0.1, 0.6, 16)
        for layer in range(LAYERS)
        for head in range(HEADS)
        for place, pair in enumerate(sources(layer))
        for keys, more in (("all", 0.3), ("no_begin", 0.0))
    ]
    names = ["layer", "head", "query_source", "key_source", "statistic", "component", "keys", "value", "lo", "hi", "n"]
    return runs(pd.DataFrame(rows, columns=names).assign(step=100, confidence=CONFIDENCE))


@pytest.fixture
def offset_profiles() -> pd.DataFrame:
    frame = grid(pair=[*product(["stream", "position"], repeat=2), ("total", "total")], offset=range(LENGTH))
    frame = pd.concat([frame.assign(keys="all"), frame[frame["offset"] < LENGTH - 1].assign(keys="no_begin")])
    frame[["query_source", "key_source"]] = frame.pop("pair").to_list()
    frame["mean_score"] = 1.0 - frame["offset"]
    attention = np.where(frame["keys"] == "all", 0.5, 1) / (1 + frame["offset"])
    frame["mean_pattern"] = np.where(frame["query_source"] == "total", attention, np.nan)
    return runs(frame.assign(step=100))


@pytest.fixture
def distance_scores() -> pd.DataFrame:
    """Head 0.2 has nothing but a peak one back; the others the same at all distances."""
    frame = grid(emb_mode=["embedding", "after_mlp0"], distance=range(LENGTH))
    frame = frame[(frame["layer"] > 0) | (frame["emb_mode"] == "embedding")]
    peak = (frame["layer"] == 0) & (frame["head"] == 2) & (frame["distance"] == 1)
    behind = frame["emb_mode"] == "after_mlp0"
    return runs(frame.assign(position_part=4.0 * peak - behind, content_part=0.5))


@pytest.fixture
def head_scores() -> pd.DataFrame:
    frame = grid(
        score=[
            ("previous_token", "mean", "text", None),
            ("first_token", "mean", "text", None),
            ("induction", "mass", "repeated_tokens", 37),
            ("induction", "mass", "repeated_tokens", 53),
            ("copying", "eigenvalue", "weights", None),
        ]
    )
    frame[["metric", "definition", "eval_set", "period"]] = frame.pop("score").to_list()
    best = {"previous_token": PREVIOUS, "induction": INDUCTION}
    frame["value"] = [0.9 if best.get(row.metric) == (row.layer, row.head) else 0.1 for row in frame.itertuples()]
    return runs(frame.assign(step=100, chance=0.05, **SOURCE))


@pytest.fixture
def head_pairs() -> pd.DataFrame:
    kinds = [("Q_composition", "frobenius"), ("K_composition", "frobenius"), ("V_composition", "frobenius")]
    kinds += [("K_circuit", "top1_keys"), ("virtual", "loss_removed")]
    rows = [
        (0, src, 1, dst, metric, definition, 0.1 + 0.1 * (src == 1 and dst == 2), 0.1)
        for src, dst, (metric, definition) in product(range(HEADS), range(HEADS), kinds)
    ]
    names = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    frame = pd.DataFrame(rows, columns=names)
    frame["eval_set"] = np.where(frame["definition"] == "loss_removed", "text", "weights")
    return runs(frame.assign(step=100, **SOURCE))


@pytest.fixture
def virtual_heads() -> pd.DataFrame:
    """Each list is led by the token that comes next."""
    rows = [
        (
            src,
            dst,
            kind,
            0,
            position,
            rank,
            TOKENS[(position + 1) % LENGTH] if rank == 0 else f"other {rank}",
            5.0 - rank,
        )
        for src, dst in (("0.0", "1.0"), ("0.1", "1.2"))
        for kind, position, rank in product(("virtual", "mixed"), range(LENGTH), range(5))
    ]
    names = ["src_head", "dst_head", "kind", "sentence", "position", "rank", "token", "logit"]
    return runs(pd.DataFrame(rows, columns=names))


@pytest.fixture
def training_curve() -> pd.DataFrame:
    """The gap is 0 up to step 100, 2 nats at 200, and stays there."""
    steps = [0, 10, 20, 50, 100, 200, 400, 800]
    rows = [
        (step, 64 * step, split, 2.0 if split == "second_copy" and step >= 200 else 4.0, 1e-3)
        for step in steps
        for split in ("train", "heldout", "first_copy", "second_copy")
    ]
    return runs(pd.DataFrame(rows, columns=["step", "tokens", "split", "loss", "learning_rate"]))


@pytest.fixture
def spectra() -> pd.DataFrame:
    """Every OV circuit has the eigenvalues 3 and -1; every QK circuit i and -i."""
    frame = grid(circuit=["OV", "QK"], index=[0, 1])
    values = {("OV", 0): 3, ("OV", 1): -1, ("QK", 0): 1j, ("QK", 1): -1j}
    numbers = np.array([values[pair] for pair in zip(frame["circuit"], frame["index"], strict=True)], dtype=complex)
    frame["real"], frame["imaginary"] = numbers.real, numbers.imag
    return runs(frame.assign(singular_value=1.0))


@pytest.fixture
def loss_by_position() -> pd.DataFrame:
    """First copies cost 3 nats, second copies 1."""
    rows = [
        (eval_set, period, position, kind, {"other": 4.0, "first_copy": 3.0, "second_copy": 1.0}[kind], 16)
        for (eval_set, period), position in product(
            [("text", None), ("repeated_text", None), ("repeated_tokens", 37)], range(1, LENGTH)
        )
        for kind in (["other"] if eval_set == "text" else ["first_copy", "second_copy"])
    ]
    frame = pd.DataFrame(rows, columns=["eval_set", "period", "position", "token_class", "loss", "n"])
    return runs(frame.assign(step=100))


@pytest.fixture
def sentence_losses() -> pd.DataFrame:
    """Two sentences; first copies cost 3 nats, second copies 1."""
    rows = [
        (sentence, part, kind, loss)
        for sentence, part in product(range(2), range(10))
        for kind, loss in (("first_copy", 3.0), ("second_copy", 1.0))
    ]
    frame = pd.DataFrame(rows, columns=["sentence", "part", "token_class", "loss"])
    return runs(frame.assign(eval_set="repeated_text", period=None, parts=10, n=4))


@pytest.fixture
def claims() -> pd.DataFrame:
    verdicts = {
        ("base", "first"): ("reproduced", 0.9, 0.8, 1.0),
        ("base", "second"): ("undecided", 0.5, None, None),
        ("other", "first"): ("not reproduced", 0.1, 0.0, 0.2),
        ("other", "second"): ("not applicable", None, None, None),
    }
    rows = [
        (experiment, claim, f"The {claim} claim", "in words", value, lo, hi, None, 0.5, verdict, "rule", 2, "")
        for (experiment, claim), (verdict, value, lo, hi) in verdicts.items()
    ]
    judged = {"confidence": CONFIDENCE, "significance": 0.05, "power": 0.8, "since": "2026-11-21"}
    judged |= dict.fromkeys(["of_sentences", "least_shown", "p", "q"])
    names = [
        "experiment",
        "claim",
        "statement",
        "statistic",
        "value",
        "lo",
        "hi",
        "chance",
        "threshold",
        "verdict",
        "rule",
        "n_seeds",
        "evidence",
    ]
    return pd.DataFrame(rows, columns=names).assign(**judged)


@pytest.fixture
def challenge_scores() -> pd.DataFrame:
    """INDUCTION attends as it should everywhere, its neighbour half as much; repeats cost 1 nat, new tokens 4."""
    levels = [("period", 5), ("period", 9), ("gap", 0), ("gap", 8), ("length", 16), ("no_begin", 5)]
    levels += [("frequency", 0), ("frequency", 3)]
    heads = {INDUCTION: 0.8, (1, 1): 0.4, (0, 0): 0.0}
    rows = [
        (*head, challenge, level, "induction", "mass", value, 0.1)
        for head, value in heads.items()
        for challenge, level in levels
    ]
    rivals = [(1, "recent"), (1, "earlier"), (2, "same_context"), (2, "other_context")]
    rows += [
        (*head, "ambiguous", level, "induction", definition, value / 2, 0.05)
        for head, value in heads.items()
        for level, definition in rivals
    ]
    rows += [
        (None, None, challenge, level, "loss", definition, loss, 3.0)
        for challenge, level in [*levels, ("ambiguous", 1), ("ambiguous", 2)]
        for definition, loss in (("repeated", 1.0), ("novel", 4.0))
    ]
    names = ["layer", "head", "challenge", "level", "metric", "definition", "value", "chance"]
    frame = pd.DataFrame(rows, columns=names).astype({"layer": "Int64", "head": "Int64"})
    return runs(frame.assign(lo=frame["value"] - 0.05, hi=frame["value"] + 0.05, n=32, confidence=CONFIDENCE))


@pytest.fixture
def head_roles() -> pd.DataFrame:
    """PREVIOUS and INDUCTION play their roles, but whether the latter is causal is not known, nor are the others."""
    roles = {PREVIOUS: ("previous_token", 1.0), INDUCTION: ("induction", 0.9), (0, 0): ("positional_shortcut", 0.5)}
    frame = grid()
    frame[["role", "certainty"]] = [roles.get((row.layer, row.head), ("none", 0.0)) for row in frame.itertuples()]
    numbers = [column.name for column in HEAD_ROLES.columns if column.nullable]
    frame["unmeasured"] = frame["role"].map({"induction": "causal"}).fillna("")
    words = {"named": frame["role"], "also": "", "evidence": "in words", "failed": "", "relations": ""}
    return runs(frame.assign(**words, **dict.fromkeys(numbers, 0.5), **SURE))


@pytest.fixture
def ablations() -> pd.DataFrame:
    """Without INDUCTION second copies cost 1 nat more, for sure; all else is 0.001, and unsure."""
    kinds, methods = ["novel", "first_copy", "second_copy", "all"], ["zero", "mean", "resample", "pattern_preserving"]
    frame = grid(
        method=[*methods, "random_direction"], eval_set=["repeated_text", "repeated_tokens"], token_class=kinds
    )
    matters = (frame["layer"] == INDUCTION[0]) & (frame["head"] == INDUCTION[1])
    matters &= (frame["token_class"] == "second_copy") & (frame["method"] != "random_direction")
    frame["difference"] = np.where(matters, 1.0, 0.001)
    frame["period"] = frame["eval_set"].map({"repeated_text": None, "repeated_tokens": 37})
    ends = {"lo": frame["difference"] - 0.1, "hi": frame["difference"] + 0.1, "confidence": CONFIDENCE}
    return runs(frame.assign(loss=3.0, n=64, **ends))


@pytest.fixture
def set_ablations() -> pd.DataFrame:
    """Two redundant induction heads, without which all of the effect is gone; none of copying is sure."""
    rows = [
        (role, kind, size, draw, token_class, {"ranked": min(1.0, size - 1), "role": 1.0, "layers": 1.0}.get(kind, 0.1))
        for role, token_class in product(("induction", "copying"), ("second_copy", "all"))
        for kind, size, draw in [
            *(("ranked", size, None) for size in (1, 2, 3)),
            *(("random", size, draw) for size in (1, 2, 3) for draw in (0, 1)),
            *(("random_direction", size, None) for size in (1, 2, 3)),
            *(("role", 2, None), ("layers", 3, None)),
        ]
    ]
    frame = pd.DataFrame(rows, columns=["role", "kind", "size", "draw", "token_class", "share"])
    frame["share"] = frame["share"].where(frame["role"] == "induction")
    frame = frame.assign(eval_set="repeated_text", period=None, heads="1.0 1.1", difference=1.0, lo=0.5, hi=1.5, n=64)
    return runs(frame.astype({"draw": "Int64"}).assign(confidence=CONFIDENCE))


@pytest.fixture
def set_curves() -> pd.DataFrame:
    """What `set_ablations` has under its curves."""
    areas = {"ranked": 0.75, "random": 0.1, "lead": 0.65}
    frame = pd.DataFrame(list(areas.items()), columns=["kind", "area"])
    frame = pd.concat([frame.assign(token_class=token_class) for token_class in ("second_copy", "all")])
    frame = frame.assign(role="induction", sizes="1 2 3", eval_set="repeated_text", period=None, n=64)
    return runs(frame.assign(lo=frame["area"] - 0.1, hi=frame["area"] + 0.1, confidence=CONFIDENCE))


@pytest.fixture
def role_coverage() -> pd.DataFrame:
    """PREVIOUS looks back, and that is nearly all; of others a tenth is known, as by chance; INDUCTION does nothing."""
    frame = grid(role=["previous_token", "induction", "all_attention_roles", "copying", "first_token"])
    is_previous = (frame["layer"] == PREVIOUS[0]) & (frame["head"] == PREVIOUS[1])
    frame["share"] = np.where(is_previous & (frame["role"] == "previous_token"), 0.9, 0.1)
    frame.loc[is_previous & (frame["role"] == "all_attention_roles"), "share"] = 0.95
    frame["chance"] = np.where(frame["role"] == "copying", -3.0, 0.1)
    frame["above_chance"] = frame["share"] - frame["chance"]
    ends = {"lo": frame["share"] - 0.05, "hi": frame["share"] + 0.05, "above_lo": frame["above_chance"] - 0.05}
    frame = frame.assign(**ends, above_hi=frame["above_chance"] + 0.05, chance_hi=frame["chance"], effect=0.1)
    silent = (frame["layer"] == INDUCTION[0]) & (frame["head"] == INDUCTION[1])
    numbers = ["share", "lo", "hi", "chance", "chance_hi", "above_chance", "above_lo", "above_hi"]
    frame.loc[silent | (frame["role"] == "first_token"), numbers] = np.nan
    frame.loc[silent, "effect"] = 0.0
    return runs(frame.assign(eval_set="text", mass=0.5, n=64, confidence=CONFIDENCE))


@pytest.fixture
def paths() -> pd.DataFrame:
    """The direct path and that through INDUCTION alone bring 1 nat each, all others nothing."""
    names = [["direct", *(f"{layer}.{head}" for head in range(HEADS))] for layer in range(LAYERS)]
    rows = [
        (l0, l1, "repeated_text", None, kind, float(l0 == "direct" and l1 in ("direct", "1.2")))
        for l0, l1, kind in product(*names, ["novel", "second_copy", "all"])
    ]
    frame = pd.DataFrame(rows, columns=["l0", "l1", "eval_set", "period", "token_class", "shapley"])
    ends = {"shapley_lo": frame["shapley"] - 0.1, "shapley_hi": frame["shapley"] + 0.1}
    frame = frame.assign(loss_removed=2 * frame["shapley"], logit_contribution=0.0, n=64, **ends)
    return runs(frame.assign(confidence=CONFIDENCE))


@pytest.fixture
def contributions() -> pd.DataFrame:
    """INDUCTION adds 3 logits to second copies; the last layer's feed-forward part takes 1; tokens add 0.5."""
    kinds = ["novel", "first_copy", "second_copy", "all"]
    heads = grid(token_class=kinds).assign(kind="head")
    speaks = (
        (heads["layer"] == INDUCTION[0]) & (heads["head"] == INDUCTION[1]) & (heads["token_class"] == "second_copy")
    )
    heads["contribution"] = np.where(speaks, 3.0, 0.0)
    others = pd.DataFrame(product([*range(LAYERS), None], kinds), columns=["layer", "token_class"])
    others["kind"] = np.where(others["layer"].isna(), "token", "feed_forward")
    others["contribution"] = others["layer"].map(lambda layer: 0.5 if pd.isna(layer) else -float(layer == LAYERS - 1))
    frame = pd.concat([heads, others.assign(head=None)]).astype({"layer": "Int64", "head": "Int64"})
    ends = {"lo": frame["contribution"] - 0.1, "hi": frame["contribution"] + 0.1, "confidence": CONFIDENCE}
    return runs(frame.assign(eval_set="repeated_text", period=None, n=64, **ends))


@pytest.fixture
def validity() -> pd.DataFrame:
    """Induction tells what second copies lose, previous_token what novel tokens do; edges go their own way."""
    effects = [("mean", "induction", "mass", "repeated_tokens"), ("mean", "previous_token", "mean", "text")]
    effects += [(edge, "K_composition", "frobenius", "weights") for edge in ("edge_K", "edge_Q")]
    rows = [
        (metric, definition, eval_set, effect, "repeated_text", kind, statistic, (metric == "induction") - 0.5)
        for (effect, metric, definition, eval_set), kind, statistic in product(
            effects, ["second_copy", "novel"], ["spearman", "auroc"]
        )
    ]
    names = ["metric", "definition", "eval_set", "effect", "effect_set", "token_class", "statistic", "value"]
    frame = pd.DataFrame(rows, columns=names)
    frame = frame.assign(lo=frame["value"] - 0.2, hi=frame["value"] + 0.2, control=0.0, control_hi=0.3)
    frame = frame.assign(n=12, n_seeds=2, **SURE)
    frame["p"] = frame["q"] = np.where(frame["metric"] == "induction", 0.01, 0.5)
    return pd.concat([frame.assign(experiment=experiment) for experiment in ("base", "other")], ignore_index=True)


@pytest.fixture
def checkpoint_scores() -> pd.DataFrame:
    """PREVIOUS looks back from step 50, INDUCTION from 200, when second copies lose 2 nats less."""
    rows = []
    for step in (0, 10, 20, 50, 100, 200, 400, 800):
        back, matching = 0.9 * (step >= 50), 0.8 * (step >= 200)
        rows += [
            (step, *PREVIOUS, None, None, "previous_token", "mean", "text", None, back, 0.05),
            (step, *INDUCTION, None, None, "induction", "mass", "repeated_tokens", 37, matching, 0.05),
            (step, *INDUCTION, None, None, "copying", "eigenvalue", "weights", None, 1.0, 0.0),
            (step, *INDUCTION, *PREVIOUS, "K_composition", "frobenius", "weights", None, 0.1 + back / 10, 0.1),
            (step, None, None, None, None, "loss", "other", "text", None, 4.0, None),
            (step, None, None, None, None, "loss", "first_copy", "repeated_text", None, 4.0, None),
            (step, None, None, None, None, "loss", "second_copy", "repeated_text", None, 4.0 - 2.5 * matching, None),
        ]
    names = ["step", "layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"]
    frame = pd.DataFrame(rows, columns=[*names, "value", "chance"])
    return runs(frame.astype(dict.fromkeys(["layer", "head", "src_layer", "src_head", "period"], "Int64")))


@pytest.fixture
def emergence() -> pd.DataFrame:
    """What `checkpoint_scores` shows; copying never appears, as it was always there."""
    changes = {
        "previous_token": (*PREVIOUS, 32.0, 20.0, 50.0, 0.0, 0.9, 1.0),
        "k_composition": (*INDUCTION, 32.0, 20.0, 50.0, 1.0, 1.9, 1.0),
        "prefix_matching": (*INDUCTION, 142.0, 100.0, 200.0, 0.0, 0.8, 3.0),
        "copying": (*INDUCTION, None, None, None, 1.0, 1.0, None),
        "loss_drop": (None, None, 142.0, 100.0, 200.0, 0.0, 2.0, 3.0),
    }
    names = ["event", "layer", "head", "step", "lo", "hi", "before_level", "after_level", "rank"]
    frame = pd.DataFrame([(event, *change) for event, change in changes.items()], columns=names)
    of_seeds = runs(frame).assign(n_seeds=frame["step"].notna().astype(int).to_list() * 2 * len(SEEDS))
    over = of_seeds[of_seeds["seed"] == 0].assign(seed=None, layer=None, head=None)
    over["n_seeds"] *= len(SEEDS)
    return (
        pd.concat([of_seeds, over])
        .assign(confidence=CONFIDENCE)
        .astype(dict.fromkeys(["seed", "layer", "head"], "Int64"))
    )


@pytest.fixture
def effects() -> pd.DataFrame:
    """Without it, the previous-token head and the gain are gone; the pair cannot be told; the rest is as it was."""
    measures = {
        ("previous_token", "previous_token", "mean", "text"): (-0.8, -0.9, -0.7, 0.001, 0.004),
        ("induction", "induction", "mass", "repeated_tokens"): (-0.1, -2.0, 1.8, 0.6, 0.8),
        ("pair", "K_composition", "frobenius", "weights"): (-0.1, None, None, None, None),
        ("model", "loss", "other", "text"): (0.0, 0.0, 0.0, 1.0, 1.0),
        ("model", "second_copy_gain", "first_minus_second", "repeated_text"): (-2.0, -2.2, -1.8, 0.002, 0.004),
    }
    names = ["role", "metric", "definition", "eval_set", "difference", "lo", "hi", "p", "q"]
    frame = pd.DataFrame([(*measure, *numbers) for measure, numbers in measures.items()], columns=names)
    frame = frame.assign(value=frame["difference"] + 1, base=1.0, n_seeds=2, paired=True, against="first", **SURE)
    return pd.concat([frame.assign(experiment=experiment) for experiment in ("base", "other")], ignore_index=True)


@pytest.fixture
def vocab_pairs() -> pd.DataFrame:
    """Of each head twenty pairs an end, by falling size; the second seed's are twice as strong."""
    frame = grid(circuit=["OV", "QK"], end=["top", "bottom"], rank=range(20))
    tokens = ["Ġdog", r"$\alpha_", "Ċ", "<0x80>", "\u200b"]
    frame = frame.assign(row_id=frame["rank"] % 5, column_id=(frame["rank"] + 1) % 5)
    for side in ("row", "column"):
        frame[f"{side}_token"] = [tokens[place] for place in frame[f"{side}_id"]]
    frame["value"] = (20 - frame["rank"]) * frame["end"].map({"top": 1.0, "bottom": -1.0})
    how = {"normaliser": "none", "filters": "", "ln_mode": "folded", "emb_mode": "embedding"}
    frame = runs(frame.assign(distance=None, z=1.0, exact=True, entries_scored=64, **how))
    return frame.assign(value=frame["value"] * (1 + frame["seed"]))


@pytest.fixture
def benchmark() -> pd.DataFrame:
    """Ours grows with the vocabulary, tiles with its square; the notebook's recipe takes ten times as long."""
    sizes = [100, 1000, 10_000, 50_257]
    searches = [("decaying", 100), ("decaying", 1000), ("notebook_recipe", 100), ("isotropic", 100)]
    frame = pd.DataFrame([(*search, V) for V, search in product(sizes, searches)], columns=["what", "k", "V"])
    frame["seconds"] = frame["V"] / 1e5
    frame["baseline_seconds"] = frame["V"] ** 2 / 1e9 * np.where(frame["what"] == "decaying", 1, 10)
    for name in ("", "baseline_"):
        frame[f"{name}lo"], frame[f"{name}hi"] = 0.9 * frame[f"{name}seconds"], 1.1 * frame[f"{name}seconds"]
    frame["baseline"] = np.where(frame["what"] == "notebook_recipe", "dense", "bare_product")
    how = {"r": 64, "threads": 2, "processor": "a processor", "precision": "float32", "versions": "these"}
    return frame.assign(peak_bytes=1, circuits=1, entries_scored=1.0, repeats=3, **how)


@pytest.fixture
def known_answers() -> pd.DataFrame:
    """Two models; the errors of `copy` are 1e-3 in copying and nothing in the loss."""
    rows = [
        ("copy", 0, "copying", "top1", "weights", 1.0, 0.999, None),
        ("copy", 0, "copying", "top5", "weights", 1.0, 1.0, None),
        ("copy", None, "loss", "mean", "text", 2.0, 2.0, None),
        ("induction", 1, "copying", "top1", "weights", 1.0, 1.0, None),
        ("induction", 1, "copying", "diagonal_z", "weights", None, None, "undefined"),
    ]
    names = ["model", "layer", "metric", "definition", "eval_set", "expected", "measured", "reason"]
    frame = pd.DataFrame(rows, columns=names).assign(head=lambda rows: rows["layer"].where(rows["layer"].isna(), 0))
    frame["absolute_error"] = (frame["measured"] - frame["expected"]).abs()
    frame = frame.assign(passed=True, tolerance=1e-6, src_layer=None, src_head=None, period=None)
    return frame.astype(dict.fromkeys(("layer", "head", "src_layer", "src_head", "period"), "Int64"))


@pytest.fixture
def stages() -> pd.DataFrame:
    """Training takes nine tenths of all seconds, in two jobs; of drawing no memory was noted, two have floors."""
    rows = [("known_answers", 1, 1.0, 1.0, 0.01, 0.5, 10 * 2**20, None)]
    rows += [("project", 2, 6.0, 4.0, 0.06, 5.0, 200 * 2**20, 2.5), ("render", 2, 3.0, 2.0, 0.03, None, None, None)]
    rows += [("train", 2, 90.0, 60.0, 0.9, 160.0, 600 * 2**20, 100.0)]
    names = ["stage", "jobs", "seconds", "longest", "share", "cpu_seconds", "peak_bytes", "floor_seconds"]
    frame = pd.DataFrame(rows, columns=names).astype({"peak_bytes": "Int64"})
    return frame.assign(floor_share=frame["floor_seconds"] / frame["cpu_seconds"])


@pytest.fixture
def tables(request) -> dict[str, pd.DataFrame]:
    """Every table above by name."""
    return {name: request.getfixturevalue(name) for name in MADE_UP}


@pytest.fixture
def definition_power() -> pd.DataFrame:
    """Two definitions of copying, one of induction; of two kinds of models, and look-alikes."""
    rows = [
        (metric, definition, way, kind, area, area - 0.1, min(1.0, area + 0.1), power, mistaken, needed)
        for metric, definition, way, area, needed in (
            ("copying", "top1", "weights", 0.8, None),
            ("copying", "olsson", "one_period", 0.9, 4),
            ("copying", "olsson", "text", 0.6, 1),
            ("induction", "mass", "text", 0.95, None),
        )
        for kind, power, mistaken in KINDS
    ]
    names = ["metric", "definition", "measured_on", "kind", "auc", "auc_lo", "auc_hi"]
    frame = pd.DataFrame(rows, columns=[*names, "power_at_level", "false_positives_at_level", "sentences_for_auc"])
    shares = ("power", "power_lo", "power_hi", "false_positives", "power_at_level_lo", "power_at_level_hi")
    frame = frame.assign(**dict.fromkeys(shares, 0.5), false_discoveries=None, sentences_for_power=None)
    frame = frame.assign(threshold=0.4, threshold_from="published", threshold_at_level=0.3, n_positive=5, n_negative=6)
    frame = frame.assign(n_models=7, level=0.05, prevalence=0.1, confidence=CONFIDENCE)
    whole = dict.fromkeys(("sentences_for_auc", "sentences_for_power"), "Int64")
    return frame.astype(whole | {"false_discoveries": "float64"})


@pytest.fixture
def definition_curves(definition_power) -> pd.DataFrame:
    """Of every definition two straight lines: to its power at 5 % false positives, and on to 1."""
    of_all = definition_power[definition_power["kind"] == "all"]
    names = ["metric", "definition", "measured_on"]
    points = [(level, of_all["power_at_level"] ** (1 - level)) for level in (0.0, 0.05, 1.0)]
    return pd.concat([of_all[names].assign(false_positives=level, power=power) for level, power in points])


@pytest.fixture
def injected_bugs() -> pd.DataFrame:
    """A bug that one of two models of a family stops, one that only another family can have, and clean models."""
    rows = [
        ("mask_late", "gpt2", "gpt2", "logits", True),
        ("mask_late", "gpt2_wide", "gpt2", "logits", False),
        ("gain", "llama", "llama", "terms", True),
        *(("none", name, name, None, True) for name in ("gpt2", "llama")),
    ]
    frame = pd.DataFrame(rows, columns=["bug", "model", "family", "expected_gate", "passed"])
    caught = frame["expected_gate"].where(frame["passed"])
    return frame.assign(caught_by=caught, quantity="logits", layer=None, max_abs_error=0.1, tolerance=1e-3)
