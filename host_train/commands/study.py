"""`study`: one of the five studies from its data to its figures: the commands of its page, one after the other.

What has ended is not done again: the same command, given again, goes on.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from host_train.commands.options import add_data_dir, add_force, say_aside

DONE = "done.txt"
Parsers = Mapping[str, argparse.ArgumentParser]


@dataclass(frozen=True)
class Study:
    """One study.

    Parameters
    ----------
    about : str
        What it asks.
    page : str
        Where its figures are.
    steps : tuple of str
        Commands of `python -m host_train`, in order; `{out}` is the study's folder.
    """

    about: str
    page: str
    steps: tuple[str, ...]


def _trained(options: str, out: str) -> str:
    """The training of a run in `{out}/OUT`."""
    return f"train {options} --threads 1 --resume --out {{out}}/{out}"


def _seeds(options: str, out: str, count: int) -> tuple[str, ...]:
    """Trainings in `{out}/OUT-SEED` that differ in their seeds."""
    return tuple(_trained(f"{options} --seed {seed}", f"{out}-{seed}") for seed in range(count))


def _all(out: str, count: int) -> str:
    """The folders of these."""
    return " ".join(f"{{out}}/{out}-{seed}" for seed in range(count))


_SHORT = "--epochs 10 --qat-epochs 0"
_SMALL = (
    "--units conv1=7 conv2=14 fc1=50 --keep conv1=0.9 conv2=0.4 fc1=0.12 fc2=0.5 --bits conv1=4 conv2=4 fc1=4 fc2=3"
    " --distillation 0.5 --rounds 6 --round-epochs 1 --tune-epochs 20 --share-epochs 5"
)
_COMPRESS = "--threads 1 --resume --min-agreement 0"
_KEPT = "1 0.98 0.96 0.94 0.92 0.9 0.88 0.86 0.84 0.82 0.8"
_BINARY = "vgg_bnn_half --seed 0 --epochs 6 --batch 50"
_SIZES = (96, 112)

STUDIES = {
    "frequency": Study(
        "the variance of weights and feature maps over frequency, and both in few bits",
        "docs/lab/frequency-study.md",
        (
            *_seeds(f"convnet {_SHORT}", "convnet", 5),
            f"spectrum {_all('convnet', 5)} --threads 1 --out {{out}}/convnet",
            *_seeds(f"lenet {_SHORT}", "lenet", 5),
            f"spectrum {_all('lenet', 5)} --threads 1 --out {{out}}/lenet",
            *(f"rates {name} --threads 1 --out {{out}}/rates-{name}" for name in ("lenet", "convnet", "lenet5")),
            "rates deepnet --images 2000 --training 128 --threads 1 --out {out}/rates-deepnet",
            "rates nin --of weights --threads 1 --out {out}/rates-nin",
            "rates nin --of maps --images 300 --training 32 --threads 1 --out {out}/rates-nin-maps",
            *(
                f"rates {name} --of maps {some} --threads 1 --out {{out}}/rates-{name}"
                for name, some in (
                    ("vgg_bnn_half", "--rates 1,2,3,4 --images 500 --training 64"),
                    ("vgg_bnn", "--rates 1,2,3,4 --images 300 --training 32"),
                    ("resnet8", "--images 500 --training 64"),
                    ("resnet20", "--images 200 --training 32"),
                )
            ),
            _trained("deepnet --seed 0 --epochs 1", "deepnet"),
            "spectrum {out}/deepnet --threads 1 --out {out}/deepnet/spectrum",
        ),
    ),
    "compression": Study(
        "pruning, shared weights and Huffman coding: how small, at which accuracy",
        "docs/lab/compression-study.md",
        (
            _trained("lenet5 --seed 0 --epochs 8", "lenet5"),
            f"compress {{out}}/lenet5 {_COMPRESS} --out {{out}}/lenet5-recipe",
            f"compress {{out}}/lenet5 {_SMALL} {_COMPRESS} --out {{out}}/lenet5-small",
            f"thin {{out}}/lenet5-recipe/package --keep {_KEPT} --threads 1 --out {{out}}/lenet5-recipe/thin",
            f"thin {{out}}/lenet5-small/package --keep {_KEPT} --threads 1 --out {{out}}/lenet5-small/thin",
            "front {out}/lenet5-recipe {out}/lenet5-small {out}/lenet5-recipe/thin/* {out}/lenet5-small/thin/*"
            " --out {out}/front",
            _trained("deepnet --seed 0", "deepnet"),
            f"compress {{out}}/deepnet {_COMPRESS} --out {{out}}/deepnet-recipe",
            "experiment {out}/deepnet --threads 1 --out {out}/experiment",
        ),
    ),
    "binary": Study(
        "weights and activations of one bit: accuracy, what is mistaken, and binarisation at random",
        "docs/lab/binary-trainings.md",
        (
            "evaluate vgg_bnn_half --plot {out}/confusion.png --wrong {out}/wrong.csv --sheet {out}/wrong.png",
            _trained(_BINARY, "deterministic"),
            _trained(f"{_BINARY} --stochastic", "stochastic"),
            "beside {out}/deterministic {out}/stochastic --out {out}/beside --title"
            " 'vgg_bnn_half: deterministic against stochastic binarisation'",
        ),
    ),
    "course": Study(
        "LeNet on MNIST, from the training to integers on the FPGA",
        "docs/lab/lenet-course.md",
        (
            _trained("lenet --seed 0", "lenet"),
            "export {out}/lenet --out {out}/lenet/package",
            "evaluate {out}/lenet/package --plot {out}/confusion.png",
            "course {out}/lenet --threads 1 --out {out}/course",
        ),
    ),
    "network-in-network": Study(
        "one 1x1 layer in a block or two, what they cost, and what the beginning of the weights does",
        "docs/lab/network-in-network.md",
        (
            "profile nin_one nin --size 224 --training --batch 8 --threads 1",
            "beginnings nin_plain nin --size 67 --steps 40 --batch 16 --threads 1",
            *(
                step
                for size in _SIZES
                for name in ("nin_one", "nin")
                for step in _seeds(f"{name} --size {size} {_SHORT}", f"{name}-{size}", 3)
            ),
            *(
                f"beside {_all(f'nin_one-{size}', 3)} {_all(f'nin-{size}', 3)} --out {{out}}/beside-{size}"
                f" --title 'one or two 1x1 layers at {size} x {size}'"
                for size in _SIZES
            ),
        ),
    ),
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("study", help="a study from its data to its figures", description=__doc__)
    parser.add_argument("study", nargs="?", choices=tuple(STUDIES), help="which (without it: what there is)")
    parser.add_argument("--show", action="store_true", help="print its commands, and run none")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where its files go (default: studies/NAME)")
    add_force(parser)
    add_data_dir(parser)
    parser.set_defaults(run=partial(run, parsers=commands.choices), goes_on=True)


def run(args: argparse.Namespace, parsers: Parsers) -> None:
    if args.study is None:
        for name, one in STUDIES.items():
            print(f"{name:20} {one.about} ({one.page})")
        return
    out = args.out or Path("studies") / args.study
    if args.show:
        for step in STUDIES[args.study].steps:
            print("python -m host_train", step.format(out=shlex.quote(str(out))))
        return
    if args.force:
        say_aside(out, DONE)
    carry_out(STUDIES[args.study], out, parsers, args.data_dir)
    print(f"\nEverything is in {out}; the figures as they were measured: {STUDIES[args.study].page}")


def carry_out(study: Study, out: Path, parsers: Parsers, data_dir: Path | None = None) -> None:
    """Run the steps of a study that have not ended yet.

    Parameters
    ----------
    study : Study
        Which.
    out : pathlib.Path
        Folder of its files; `done.txt` in it has the steps that have ended.
    parsers : mapping of str to argparse.ArgumentParser
        Of every command, by name.
    data_dir : pathlib.Path, optional
        For the commands that take data.

    Raises
    ------
    PynqCnnError
        Of a step that failed.
    """
    data = [] if data_dir is None else ["--data-dir", str(data_dir)]
    noted = out / DONE
    done = noted.read_text(encoding="utf-8").splitlines() if noted.is_file() else []
    for number, step in enumerate(study.steps, start=1):
        told = f"[{number}/{len(study.steps)}] python -m host_train {step.format(out=shlex.quote(str(out)))}"
        if step in done:
            print(f"{told}: done")
            continue
        print(told, flush=True)
        words = [found for word in shlex.split(step) for found in _paths(word, out)]
        parser = parsers[words[0]]
        args, unknown = parser.parse_known_args([*words[1:], *data])
        if unknown:  # some commands take no data
            args = parser.parse_args(words[1:])
        args.command = words[0]  # as the parser of all commands notes it
        args.run(args)
        out.mkdir(parents=True, exist_ok=True)
        with noted.open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")


def _paths(word: str, out: Path) -> list[str]:
    """A word of a command; where it ends with `*`, the folders of that folder, as a shell has it."""
    path = word.format(out=out)
    if not path.endswith("/*"):
        return [path]
    return sorted(str(one) for one in Path(path[:-2]).iterdir() if one.is_dir())
