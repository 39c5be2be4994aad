"""The settings of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from shlex import quote

from host_train.data import find_entry
from host_train.data.dataset import COLORS
from host_train.networks import RECIPES, Recipe, find_recipe
from host_train.networks.initial import INITIAL, build_with, check_size
from host_train.training.schedule import Schedule
from pynq_cnn.checks import integer
from pynq_cnn.errors import ArgumentError
from pynq_cnn.model import InputSpec
from pynq_cnn.model.network import FITS

OPTIONS = {"pictures": "data"}  # of `train`, where they are called otherwise than the setting


@dataclass(frozen=True)
class Settings:
    """Changes that a run makes to its recipe; None leaves it.

    Parameters
    ----------
    recipe : str
        Name of the network.
    seed : int
        0 to 2^32 - 1; determines the initial weights, the validation images and every epoch.
    epochs : int, optional
        Of the training in floating point.
    batch : int, optional
        Images in a step, also of quantisation-aware training.
    learning_rate : float, optional
        Of the training in floating point.
    qat_epochs : int, optional
        Of quantisation-aware training; 0 leaves it out. Not given with `epochs`, it is in proportion, as all other
        trainings of the recipe are: half as many where those are half of the recipe's, and at least one.
    threads : int, optional
        torch's; sums in floating point depend on it.
    stochastic : bool
        Of a binary network: draw the binary weights at random while training.
    size : int, optional
        Side of the square that images are resized to.
    initial : str, optional
        How weights begin, one of `host_train.networks.initial.INITIAL`; as PyTorch has it if not given.
    teacher : str, optional
        Of a network that learns from another: the folder of a run of that one, trained already.
    pictures : str, optional
        Pictures of one's own instead of the recipe's data set: their folder, or `torchvision:NAME`
        (`host_train.data.own.load_pictures`).
    fit : {"crop", "digit"}, optional
        How those are fitted to the network's input; `"crop"` if not given. `"digit"` finds one stroke in a grey
        picture, as of the networks for digits.
    processes : int
        That trained together. It changes a training by rounding alone, or little (`host_train.training.processes`), so
        that others may go on with it.
    """

    recipe: str
    seed: int = 0
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    qat_epochs: int | None = None
    threads: int | None = None
    stochastic: bool = False
    size: int | None = None
    initial: str | None = None
    teacher: str | None = None
    pictures: str | None = None
    fit: str | None = None
    processes: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.recipe, str):
            raise ArgumentError(f"recipe must be the name of a network, not {self.recipe!r}")
        for name, low, high in (
            ("epochs", 1, None),
            ("batch", 1, None),
            ("qat_epochs", 0, None),
            ("threads", 1, None),
            ("processes", 1, None),
            ("size", 1, 1024),
        ):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, integer(name, getattr(self, name), low, high))
        object.__setattr__(self, "seed", integer("seed", self.seed, 0, 2**32 - 1))
        if self.learning_rate is not None and not isinstance(self.learning_rate, (int, float)):
            raise ArgumentError(f"learning_rate must be a number, not {self.learning_rate!r}")
        if self.initial is not None and (not isinstance(self.initial, str) or self.initial not in INITIAL):
            raise ArgumentError(f"initial must be one of {', '.join(INITIAL)}, not {self.initial!r}")
        if self.teacher is not None and not isinstance(self.teacher, str):
            raise ArgumentError(f"teacher must be the folder of a run, not {self.teacher!r}")
        if self.pictures is not None and (not isinstance(self.pictures, str) or not self.pictures):
            raise ArgumentError(f"--data must be a folder of pictures, or torchvision:NAME, not {self.pictures!r}")
        if self.fit is not None and self.fit not in FITS:
            raise ArgumentError(f"fit must be one of {', '.join(FITS)}, not {self.fit!r}")
        if self.fit is not None and self.pictures is None:
            raise ArgumentError(
                f"--fit {self.fit} is of pictures of your own; give their folder by --data, or remove it"
            )
        if not isinstance(self.stochastic, bool):
            raise ArgumentError(f"stochastic must be True or False, not {self.stochastic!r}")

    def resolve(self, classes: int | None = None) -> Recipe:
        """The recipe with these changes; `ArgumentError` for `stochastic` if it is not binary, and for `qat_epochs` if
        it is.

        Parameters
        ----------
        classes : int, optional
            How many `pictures` has, once that is read.
        """
        recipe = find_recipe(self.recipe)
        if self.stochastic:
            if recipe.build_stochastic is None:
                binary = ", ".join(one.name for one in RECIPES.values() if one.binary)
                raise ArgumentError(
                    f"{self.recipe} has no binary weights to draw at random, only {binary} have; remove --stochastic"
                )
            recipe = replace(recipe, build=recipe.build_stochastic)
        if self.pictures is not None:
            recipe = self._own_pictures(recipe, classes)
        if self.initial is not None:
            if recipe.binary:
                raise ArgumentError(f"{self.recipe} has binary weights, which begin as they do; remove --initial")
            recipe = replace(recipe, build=partial(build_with, recipe.build, self.initial))
        if self.size is not None:
            channels = find_entry(recipe.dataset).spec.shape[2]
            check_size(self.recipe, recipe.build, (channels, self.size, self.size))
            recipe = replace(recipe, size=(self.size, self.size))
        if self.qat_epochs and recipe.binary:
            raise ArgumentError(
                f"{self.recipe} has binary weights, which are in integers already; remove --qat-epochs"
                f" {self.qat_epochs}"
            )
        if self.teacher is not None and recipe.teacher is None:
            raise ArgumentError(f"{self.recipe} learns from no teacher; remove --teacher {self.teacher}")
        changes = {
            name: getattr(self, name)
            for name in ("epochs", "batch", "learning_rate")
            if getattr(self, name) is not None
        }
        qat = recipe.qat
        if self.qat_epochs is not None:
            # The integers' grids have as many steps as bfloat16 has between powers of two: quantisation is learnt in
            # float32.
            plain = replace(recipe.schedule, bfloat16=False, compiled=False)
            qat = replace(qat or plain, epochs=self.qat_epochs) if self.qat_epochs else None
        else:
            qat = self._in_proportion(qat, recipe)
        start, whole = (self._in_proportion(one, recipe) for one in (recipe.start, recipe.whole))
        start, whole, qat = (
            replace(one, batch=self.batch) if one is not None and self.batch is not None else one
            for one in (start, whole, qat)
        )
        return replace(recipe, schedule=replace(recipe.schedule, **changes), start=start, whole=whole, qat=qat)

    def _own_pictures(self, recipe: Recipe, classes: int | None) -> Recipe:
        """`recipe` with pictures of one's own: how they are fitted, and how many classes they have."""
        digit = self.fit == "digit"
        if digit and find_entry(recipe.dataset).spec.shape[2] != 1:
            raise ArgumentError(f"--fit digit is of grey pictures, and {self.recipe} takes them in colour; remove it")
        build = recipe.build if classes is None else partial(recipe.build, classes=classes)
        return replace(recipe, build=build, fit=self.fit or "crop", invert="auto" if digit else "never")

    def picture(self) -> InputSpec:
        """The network's input that `pictures` are fitted to, without its normalisation."""
        recipe = self.resolve()
        height, width, channels = find_entry(recipe.dataset).spec.shape
        height, width = recipe.size or (height, width)
        none, one = (0.0,) * channels, (1.0,) * channels
        return InputSpec(height, width, channels, COLORS[channels], none, one, recipe.fit, recipe.invert)

    def _in_proportion(self, other: Schedule | None, recipe: Recipe) -> Schedule | None:
        """Another of the recipe's trainings, as long in proportion to it as the recipe has it."""
        if other is None or self.epochs is None:
            return other
        return replace(other, epochs=max(1, round(other.epochs * self.epochs / recipe.schedule.epochs)))

    def command(self) -> str:
        """The command line that does it again.

        Examples
        --------
        >>> Settings("lenet", seed=1, epochs=5).command()
        'python -m host_train train lenet --seed 1 --epochs 5'
        """
        given = {OPTIONS.get(name, name.replace("_", "-")): value for name, value in asdict(self).items()}
        given = {
            name: value
            for name, value in given.items()
            if value is not None and value is not False and name not in ("recipe", "processes")
        }
        options = [f"--{name}" if value is True else f"--{name} {quote(str(value))}" for name, value in given.items()]
        python = "python" if self.processes == 1 else f"torchrun --nproc-per-node {self.processes}"
        return " ".join([f"{python} -m host_train train {self.recipe}", *options])
