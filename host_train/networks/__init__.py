"""The networks that can be trained, each with its recipe."""

from __future__ import annotations

from host_train.networks.convnet import CONVNET
from host_train.networks.deepnet import DEEPNET
from host_train.networks.lenet import LENET
from host_train.networks.lenet5 import LENET5
from host_train.networks.nin import NIN, NIN_ONE, NIN_PLAIN
from host_train.networks.recipe import Recipe
from host_train.networks.resnet8 import RESNET8
from host_train.networks.resnet20 import RESNET20
from host_train.networks.vgg import VGG
from host_train.networks.vgg_bnn import VGG_BNN, VGG_BNN_HALF
from pynq_cnn.errors import ArgumentError

__all__ = ["RECIPES", "Recipe", "find_recipe"]

_ALL = (LENET, CONVNET, LENET5, DEEPNET, VGG_BNN, VGG_BNN_HALF, NIN, NIN_ONE, NIN_PLAIN, RESNET8, RESNET20, VGG)
RECIPES = {recipe.name: recipe for recipe in _ALL}


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
