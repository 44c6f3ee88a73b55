"""What counts as a change of code: each pair differs either in words alone, or in more."""

import argparse
import dataclasses
import inspect

import pytest
from tqdm import tqdm

from pipeline.claims.catalogue import Claim
from pipeline.plumbing.schema import Column, Table
from pipeline.plumbing.words import WORDS, without_words
from pipeline.settings.stage import Stage

CODE = 'def double(x):\n    """Return twice x."""\n    return 2 * x  # fast\n'
TABLES = "pipeline.tables.mine"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(CODE, "def double(x):\n    return 2 * x\n", id="no docstring, no comment"),
        pytest.param(CODE, 'def double(x):\n\n    "Other words."\n    return (2 * x)\n', id="other words and layout"),
        pytest.param("raise ValueError('no such')", "raise ValueError('there is none')", id="error"),
        pytest.param("raise ValueError(f'{n:g} is wrong')", "raise ValueError(f'not {n}')", id="error with a number"),
        pytest.param(
            "raise ValueError('; '.join([*x, 'or']) + f'{n}') from e",
            "raise ValueError(', '.join([*x, 'else']) + f'{n}!') from e",
            id="error put together",
        ),
        pytest.param("print('done', n)", "print('ready', n)", id="print"),
        pytest.param("sys.exit(f'{stage}: wrong')", "sys.exit(f'{stage} failed')", id="exit"),
        pytest.param("tqdm(x, desc='layers')", "tqdm(x, desc='all layers')", id="progress"),
        pytest.param("p.add_argument('--x', help='a')", "p.add_argument('--x', help='b')", id="help"),
        pytest.param("ArgumentParser(description='a')", "ArgumentParser(description='b')", id="description"),
        pytest.param("Column('n', 'int64', 'count', 'a', 1)", "Column('n', 'int64', '', 'b', 1)", id="column"),
        pytest.param("Column('n', unit='m', meaning=A + 'a')", "Column('n', unit='s', meaning='b')", id="keywords"),
        pytest.param("Table('t', 'a row', ('n',), C)", "Table('t', 'one row', ('n',), C)", id="table"),
        pytest.param("Table(name='t', row='a row')", "Table(name='t', row='one row')", id="table by keywords"),
        pytest.param("replace(C, meaning='a', low=0)", "replace(C, meaning='b', low=0)", id="column changed"),
        pytest.param("Claim('n', 'a', 'b', f)", "Claim('n', 'c', 'd', f)", id="claim"),
        pytest.param("Claim('n', statement='a')", "Claim('n', statement='b')", id="claim by keyword"),
        pytest.param("Definition('m', 'd', 'a', 's')", "Definition('m', 'd', 'b', 't')", id="definition"),
        pytest.param("Definition(meaning='a', unit='u')", "Definition(meaning='b', unit='u')", id="by keyword"),
        pytest.param("Stage('run', mem_mb=1)", "Stage('run', mem_mb=2, runtime=3)", id="what a cluster sets aside"),
        pytest.param(
            "A = 'x'\nB = A + 'y'\nC = Column('n', 'int64', 'u', B)",
            "A = 'z'\nB = f'{A}w'\nC = Column('n', 'int64', 'u', B)",
            id="text with a name",
        ),
    ],
)
def test_words_do_not_count(before, after):
    assert without_words(before, TABLES) == without_words(after, TABLES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(CODE, CODE.replace("2 *", "3 *"), id="formula"),
        pytest.param("if x > 0.5:\n    pass", "if x > 0.6:\n    pass", id="threshold"),
        pytest.param("rearrange(x, 'a b -> b a')", "rearrange(x, 'a b -> (a b)')", id="pattern"),
        pytest.param("def f(mode='mean'):\n    pass", "def f(mode='zero'):\n    pass", id="default"),
        pytest.param("raise ValueError('x')", "raise TypeError('x')", id="kind of error"),
        pytest.param("raise ValueError(f(1))", "raise ValueError(f(2))", id="computed in an error"),
        pytest.param("print(f('a'))\ng()", "print(f('a'))\nh()", id="beside a print"),
        pytest.param("tqdm(x, desc='a')", "tqdm(y, desc='a')", id="what is gone through"),
        pytest.param("p.add_argument('--x', default='a')", "p.add_argument('--x', default='b')", id="argument"),
        pytest.param("Column('n', 'int64', 'u', 'm', 0)", "Column('n', 'int64', 'u', 'm', 1)", id="range"),
        pytest.param("Column('n', 'int64', 'u', 'm')", "Column('n', 'float64', 'u', 'm')", id="type"),
        pytest.param("Column('n', options=('a',))", "Column('n', options=('b',))", id="options"),
        pytest.param("Table('t', 'row', ('a',), C)", "Table('t', 'row', ('b',), C)", id="key"),
        pytest.param("Claim('n', 'a', 'b', f)", "Claim('n', 'a', 'b', g)", id="measure"),
        pytest.param("Definition(meaning='a', ideal=1)", "Definition(meaning='a', ideal=2)", id="ideal"),
        pytest.param("Stage('run', gated=True)", "Stage('run', gated=False)", id="gate"),
        pytest.param("A = 'x'\nB = f(A)", "A = 'y'\nB = f(A)", id="text that is computed with"),
        pytest.param("A = 'x'\nB = Column(A)", "A = 'y'\nB = Column(A)", id="text that names"),
        pytest.param("Column(*a, 'u', 'm', 'x')", "Column(*a, 'u', 'm', 'y')", id="places unknown"),
    ],
)
def test_all_else_counts(before, after):
    assert without_words(before, TABLES) != without_words(after, TABLES)


def test_a_text_that_another_module_takes_counts():
    before, after = "A = 'x'\n", "A = 'y'\n"
    assert without_words(before) == without_words(after)
    assert without_words(before, taken="A".__eq__) != without_words(after, taken="A".__eq__)


def test_a_name_that_says_little_means_this_only_where_it_does():
    before, after = "interval('a')", "interval('b')"
    assert without_words(before, "pipeline.tables.mine") == without_words(after, "pipeline.tables.mine")
    assert without_words(before, "pipeline.claims.mine") != without_words(after, "pipeline.claims.mine")


def test_a_class_with_a_docstring_alone_is_still_a_class():
    assert without_words('class Empty:\n    """Nothing."""\n') == "class Empty:\n    pass"


@pytest.mark.parametrize("declared", [Column, Table, Claim, Stage])
def test_words_stand_where_the_list_says(declared):
    fields = [field.name for field in dataclasses.fields(declared)]
    listed = {keyword: place for _, name, keyword, place in WORDS if name == declared.__name__}
    assert listed
    for keyword, place in listed.items():
        assert keyword in fields
        assert place is None or fields[place] == keyword


def test_words_of_libraries_stand_where_the_list_says():
    assert list(inspect.signature(tqdm.__init__).parameters)[2] == "desc"  # after self
    assert {"description", "epilog"} <= set(inspect.signature(argparse.ArgumentParser).parameters)
