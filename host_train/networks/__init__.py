"""The networks that can be trained, each with its recipe."""

from __future__ import annotations

from host_train.networks.lenet import LENET
from host_train.networks.recipe import Recipe
from host_train.networks.vgg_bnn import VGG_BNN, VGG_BNN_HALF
from pynq_cnn.errors import ArgumentError

__all__ = ["RECIPES", "Recipe", "find_recipe"]

RECIPES = {recipe.name: recipe for recipe in (LENET, VGG_BNN, VGG_BNN_HALF)}


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`; `ArgumentError` lists those there are.

    Examples
    --------
    >>> find_recipe("lenet").dataset
    'mnist'
    """
    if name not in RECIPES:
        raise ArgumentError(f"no network is called {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
