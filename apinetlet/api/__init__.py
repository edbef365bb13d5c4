"""The kinds of both generations: one set of classes, and a ``Generation`` value with the names that differ."""

from apinetlet.api.generation import GENERATIONS, IRONCORE, NEITHER, ONMETAL, Generation, NameIn, served
from apinetlet.api.kinds import Kinds, PolicyKinds

__all__ = ["GENERATIONS", "IRONCORE", "NEITHER", "ONMETAL", "Generation", "Kinds", "NameIn", "PolicyKinds", "served"]
