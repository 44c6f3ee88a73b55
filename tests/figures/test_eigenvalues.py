import math

import pandas as pd
import pytest

from pipeline.figures.eigenvalues import eigenvalue_score, eigenvalues


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([3, 1], 1.0, id="positive"),
        pytest.param([-2, -5], -1.0, id="negative"),
        pytest.param([1j, -1j], 0.0, id="a rotation"),
        pytest.param([3, -1], 0.5, id="(3 - 1) / (3 + 1)"),
        pytest.param([3 + 4j, 3 - 4j], 0.6, id="6 / 10"),
    ],
)
def test_score(values, expected):
    frame = pd.DataFrame({"real": [complex(z).real for z in values], "imaginary": [complex(z).imag for z in values]})
    assert eigenvalue_score(frame) == pytest.approx(expected)


def test_a_circuit_of_zeros_has_no_score():
    assert math.isnan(eigenvalue_score(pd.DataFrame({"real": [0.0], "imaginary": [0.0]})))


def test_a_panel_a_head_with_its_scores_in_the_title(spectra):
    figure = eigenvalues(spectra)
    assert len(figure.axes) == 6
    assert [axes.get_title(loc="left") for axes in figure.axes][:4:3] == [
        "0.0\nOV +0.50\nQK +0.00",
        "1.0\nOV +0.50\nQK +0.00",
    ]


def test_the_largest_eigenvalue_lies_on_the_circle(spectra):
    overlap, turning = eigenvalues(spectra[spectra["experiment"] == "base"]).axes[0].collections
    assert overlap.get_offsets().tolist() == [[1, 0], [pytest.approx(-1 / 3), 0]]
    assert turning.get_offsets().tolist() == [[0, 1], [0, -1]]
