"""Bugs to be caught: the field's own, one at a time, in every family that they would make another model of."""

from pipeline.models.injected.bug import CLEAN, Bug, injected
from pipeline.models.injected.of_analysis import OF_ANALYSIS
from pipeline.models.injected.of_forward import OF_FORWARD
from pipeline.models.injected.of_reading import OF_READING

__all__ = ["BUGS", "CLEAN", "Bug", "injected"]

BUGS = (*OF_READING, *OF_FORWARD, *OF_ANALYSIS)
