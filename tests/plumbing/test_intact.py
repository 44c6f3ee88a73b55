import hashlib
import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.plumbing import intact
from pipeline.plumbing.artefacts import Paths, origin_of, provenance_of, read, read_parts, record, recorded, write
from pipeline.plumbing.schema import Column, Table

THINGS = Table("things", "one thing", ("name",), (Column("name", "string", "name", "which"),))
FIRST, SECOND = (f"results/store/prepare/{letter * 12}" for letter in "ab")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(folder, job=None):
    """A table and a file that is none, made by a job in its folder."""
    outputs = Paths([f"{folder}/things.parquet", f"{folder}/notes.json"], json.dumps({"job": job or folder}))
    write(THINGS, pd.DataFrame({"name": [folder[-1]]}), outputs)
    with recorded(outputs, "notes.json") as temporary:
        temporary.write_text(folder)
    return outputs


def test_a_tables_digest_is_of_all_its_other_bytes():
    path = made(FIRST).file("things.parquet")
    kept = pq.ParquetFile(path).metadata.metadata[b"digest"].removeprefix(b"sha256:")
    blank = path.read_bytes().replace(kept, b"0" * 64)
    assert hashlib.sha256(blank.replace(b"0" * 64, b"")).hexdigest().encode() == kept
    assert read(THINGS, Paths([path]))["name"].tolist() == ["a"]


def test_the_digest_of_another_file_is_beside_it():
    path = made(FIRST).whole("notes.json")
    record = json.loads(intact.beside(path).read_text())
    assert record == {"job": FIRST, "made_from": {}, "sha256": hashlib.sha256(FIRST.encode()).hexdigest()}


def test_figures_of_a_folder_have_one_record():
    paths = Paths(
        [f"results/studies/mine/figures/{name}" for name in ("a.png", "a.svg")], '{"job": "results/studies/mine"}'
    )
    for path in paths.files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    record(paths.files, paths)
    assert {intact.beside(path).name for path in paths.files} == {"figures.made.json"}
    paths.whole("a.png")
    paths.files[1].write_text("a.svh")
    with pytest.raises(ValueError, match=r"a\.svg: damaged"):
        paths.whole("a.svg")


def test_what_a_job_reads_has_one_digest_by_who_made_it(tmp_path):
    first, second = made(FIRST), made(SECOND)
    (tmp_path / "own.txt").write_text("own")
    own = hashlib.sha256(json.dumps([["own.txt", hashlib.sha256(b"own").hexdigest()]]).encode()).hexdigest()
    files = [*first.files, intact.beside(first.files[1]), tmp_path / "own.txt"]
    digests = json.loads(intact.made_from(files))
    assert digests == {"own files": own, "prepare": digests["prepare"]}
    assert json.loads(intact.made_from(files[::-1])) == digests
    assert json.loads(intact.made_from([*second.files, tmp_path / "own.txt"]))["prepare"] != digests["prepare"]


def test_of_a_table_the_digest_in_it_counts_and_of_another_file_the_one_in_its_record():
    paths = made(FIRST)
    table, notes = (path.read_bytes() for path in paths.files)
    sealed = pq.ParquetFile(paths.files[0]).metadata.metadata[b"digest"].removeprefix(b"sha256:")
    assert intact.said_digest(paths.files[0]) == sealed.decode()
    assert intact.said_digest(paths.files[1]) == hashlib.sha256(notes).hexdigest()
    paths.files[0].write_bytes(table[:-1])
    with pytest.raises(ValueError, match="cannot be read"):
        intact.said_digest(paths.files[0].with_name("missing.parquet"))


READERS = [lambda paths: read(THINGS, paths), lambda paths: list(read_parts(THINGS, paths))]
READERS += [lambda paths: provenance_of(paths.file("things.parquet")), lambda paths: paths.whole("notes.json")]


@pytest.mark.parametrize("read_it", READERS, ids=["read", "read_parts", "provenance_of", "whole"])
@pytest.mark.parametrize("how", ["flip", "shorter", "longer", "empty", "missing"])
def test_a_damaged_file_is_one_line_with_the_command_that_mends_it(how, read_it):
    paths = made(FIRST)
    for path in paths.files:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        spoilt = {"flip": content, "shorter": content[:-9], "longer": path.read_bytes() + b"x", "empty": b""}
        path.unlink() if how == "missing" else path.write_bytes(spoilt[how])
    with pytest.raises(
        ValueError, match=rf"{FIRST}/\w+\.\w+: .*; make it again: snakemake --forcerun {FIRST}"
    ) as error:
        read_it(paths)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read_it", READERS, ids=["read", "read_parts", "provenance_of", "whole"])
@pytest.mark.parametrize("how", ["copied", "linked", "folder linked"])
def test_a_file_in_anothers_place_is_refused_by_the_names_of_both(how, read_it, tmp_path):
    of_first, of_second = made(FIRST), made(SECOND)
    if how == "folder linked":
        shutil.rmtree(SECOND)
        (tmp_path / SECOND).symlink_to(tmp_path / FIRST)
    for theirs, ours in zip(of_first.files, of_second.files, strict=True):
        for source, place in ((theirs, ours), (intact.beside(theirs), intact.beside(ours))):
            if how != "folder linked" and source.exists():
                place.unlink()
                shutil.copy(source, place) if how == "copied" else place.symlink_to(source.absolute())
    with pytest.raises(ValueError, match=f"{SECOND}/.* is not of {SECOND} but of {FIRST}") as error:
        read_it(of_second)
    assert "\n" not in str(error.value)


def test_what_a_file_was_made_from_is_kept_with_it():
    made_from = json.dumps({"train": "0a"})
    outputs = Paths([f"{FIRST}/things.parquet", f"{FIRST}/notes.json"], json.dumps({"job": FIRST}), made_from)
    write(THINGS, pd.DataFrame({"name": ["a"]}), outputs)
    with recorded(outputs, "notes.json") as temporary:
        temporary.write_text("notes")
    assert origin_of(outputs.files[0]) == ({"job": FIRST}, {"train": "0a"})
    assert intact.check_beside(outputs.files[1]) == {"train": "0a"}


def test_a_whole_folder_of_results_may_be_moved(tmp_path):
    made(FIRST)
    shutil.move("results", tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "elsewhere/results")
    paths = Paths([tmp_path / "elsewhere" / FIRST / name for name in ("things.parquet", "notes.json")])
    assert read(THINGS, paths)["name"].tolist() == ["a"]
    assert paths.whole("notes.json").read_text() == FIRST


def test_a_file_without_a_record_is_read_only_outside_the_folders_of_jobs(tmp_path):
    (tmp_path / "notes.json").write_text("own")
    assert Paths([tmp_path / "notes.json"]).whole("notes.json").read_text() == "own"
    path = made(FIRST).file("notes.json")
    intact.beside(path).unlink()
    with pytest.raises(ValueError, match=r"notes\.json: it, or notes\.json\.made\.json, cannot be read"):
        Paths([path]).whole("notes.json")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"{FIRST}/x.parquet", FIRST),
        (f"/a/results/store/b/{FIRST}/part_0/x.parquet", FIRST),
        ("results/studies/paper/claims.parquet", "results/studies/paper"),
        (f"results/studies/known_answers/runs/train/{'a' * 12}/config.json", "results/studies/known_answers"),
        (f"{FIRST}/.progress/0/x.parquet", None),
        (f"results/studies/known_answers/runs/project/{'a' * 12}/.progress/0/x.parquet", None),
        ("results/scratch/score/head_scores.parquet", None),
        ("somewhere/x.parquet", None),
    ],
)
def test_the_place_of_a_file_is_the_folder_of_its_job(path, place, tmp_path):
    assert intact.place_of(tmp_path / path) == place
