"""What a study found, as the README shows it, and whether another one agrees.

`python -m pipeline.documentation.findings docs/claims.csv` prints the README's table; with a second claims table, of
other sentences, seeds or another machine, the verdicts that differ. `--csv` prints what docs/claims.csv holds.
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.claims.catalogue import CLAIMS

KEY = ["experiment", "claim"]
KEPT = [
    *KEY,
    *("statement", "value", "lo", "hi", "confidence", "of_sentences", "chance", "threshold", "since", "least_shown"),
    *("p", "q", "verdict", "n_seeds"),
]


def claims_in(path: Path) -> pd.DataFrame:
    """Read a claims table: Parquet, as a study has it, or CSV, as the repository does."""
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def findings(claims: pd.DataFrame, experiment: str) -> str:
    """Return a Markdown table of what was found in one experiment, a row a measured claim, in the catalogue's order.

    Args:
        claims: CLAIMS of a study, or its columns KEPT.
        experiment: which of its experiments.
    """
    rows = claims[claims["experiment"] == experiment]
    mean = f"mean over {rows['n_seeds'].max()} seeds [{rows['confidence'].iloc[0]:.0%} interval]"
    lines = [
        f"| claim | {mean} | of sentences | threshold | chance | least shown | q | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    judged = {row["claim"]: row for row in rows.to_dict("records") if row["verdict"] != "not measured"}
    for row in (judged[claim.name] for claim in CLAIMS if claim.name in judged):
        mean = "" if pd.isna(row["value"]) else f"{row['value']:.3g} [{_number(row['lo'])}, {_number(row['hi'])}]"
        numbers = [
            f"± {row['of_sentences']:.2g}" if row["of_sentences"] > 0 else "",
            *(_number(row[name]) for name in ("threshold", "chance", "least_shown")),
            f"{row['q']:.1g}" if pd.notna(row["q"]) else "",
        ]
        lines.append(" | ".join(["| " + row["statement"], mean, *numbers, row["verdict"] + " |"]))
    return "\n".join(lines) + "\n"


def verdicts(claims: pd.DataFrame, others: pd.DataFrame) -> tuple[str, bool]:
    """Return a line for each verdict that differs between two studies, how many there are, and whether all agree.

    Experiments that only one of them has are named and not compared; a claim that only one of them measured differs.
    """
    shared = set(claims["experiment"]) & set(others["experiment"])
    alone = [
        f"experiments only {where}, which are not compared: {', '.join(sorted(only))}"
        for where, table in (("here", claims), ("there", others))
        if (only := set(table["experiment"]) - shared)
    ]
    here, there = (table[table["experiment"].isin(shared)] for table in (claims, others))
    both = here.merge(there, on=KEY, how="outer", suffixes=("", "_other"))
    for name in ("verdict", "verdict_other"):
        both[name] = both[name].fillna("not measured")
    apart = both[both["verdict"] != both["verdict_other"]]
    lines = [
        f"{row['experiment']} {row['claim']}: {row['verdict']} ({_number(row['value'])}), there {row['verdict_other']} "
        f"({_number(row['value_other'])})"
        for row in apart.to_dict("records")
    ]
    was = both["verdict"] == "reproduced"
    lost = int((was & (both["verdict_other"] != "reproduced")).sum())
    counted = f"{len(apart)} of {len(both)} verdicts differ; of {int(was.sum())} reproduced ones, {lost} are not there"
    return "\n".join([*alone, *lines, counted]) + "\n", bool(shared) and apart.empty


def _number(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.3g}"


def main(arguments: list[str] | None = None) -> None:
    """Print the table or the differences."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.documentation.findings", description=__doc__)
    parser.add_argument("claims", type=Path, help="claims.parquet of a study, or such a table as .csv")
    parser.add_argument("others", type=Path, nargs="?", help="another's, to compare verdicts with")
    parser.add_argument("--experiment", default="base", help="of which findings are printed")
    parser.add_argument("--csv", action="store_true", help="print the table's columns as CSV instead")
    given = parser.parse_args(arguments)
    for path in filter(None, (given.claims, given.others)):
        if not path.is_file():
            parser.error(f"{path}: no such file; make the study first, or name its claims.parquet")
    claims = claims_in(given.claims)
    if given.others is not None:
        print(verdicts(claims, claims_in(given.others))[0], end="")
    elif given.csv:
        print(claims[KEPT].to_csv(index=False, float_format="%.6g"), end="")
    else:
        print(findings(claims, given.experiment), end="")


if __name__ == "__main__":
    main()
