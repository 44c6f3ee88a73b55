RUN = {"experiment": "base", "seed": 0, "vocabulary": "a1", "weights": "b2"}


def test_a_run_is_aligned_by_its_vocabulary_and_weights(accepted, refusal):
    (run,) = accepted("align", runs=[RUN]).runs
    assert (run.vocabulary, run.weights) == ("a1", "b2")
    for name in ("vocabulary", "weights"):
        without = {key: value for key, value in RUN.items() if key != name}
        assert refusal("align", runs=[RUN, without]).startswith(f"align.runs.1.{name}: not set")


def test_seeds_count_from_0(refusal):
    assert refusal("align", runs=[RUN | {"seed": -1}]).startswith("align.runs.0.seed=-1: ")
    assert refusal("align", seed=-1).startswith("align.seed=-1: input should be greater than or equal to 0")
