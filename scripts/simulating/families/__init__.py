"""Families of cases: who there is, what the proxy does, what clients ask."""

from simulating.families import answers, around, leaking, mirrors
from simulating.families.family import FAMILIES

__all__ = ["FAMILIES", "answers", "around", "leaking", "mirrors"]
