"""The folder of a package: it takes the place of an earlier one, whole, and of nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynq_cnn.errors import ModelPackageError
from pynq_cnn.model.package.forms import MANIFEST
from pynq_cnn.model.package.reading import as_path, read_manifest


def array_entries(manifest: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of all arrays of a manifest: every object that names a file, but for those in the metadata,
    which is free.
    """
    if isinstance(manifest, dict):
        if "file" in manifest:
            yield manifest
        for key, value in manifest.items():
            if key != "metadata":
                yield from array_entries(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from array_entries(value)


def check_replaceable(folder: str | os.PathLike[str], suffix: str = ".npy") -> None:
    """See that writing a package to `folder` would take nothing away but an earlier one.

    Parameters
    ----------
    folder : path
        Not there, empty, or a package: a manifest of this format, and no file but those that it names.
    suffix : str
        Of the files of arrays; a package of another kind is not an earlier one.

    Raises
    ------
    ModelPackageError
        If the folder holds anything else; names it.
    """
    target = as_path(folder)
    try:
        if not os.path.lexists(os.path.realpath(target)):
            return
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise ModelPackageError(f"{str(target)!r:.300} is no path: {error}") from error
    try:
        found = sorted(path.name for path in target.iterdir())
        own = {MANIFEST} | _array_files(target / MANIFEST, suffix) if found else set()
    except (OSError, ModelPackageError) as error:
        raise ModelPackageError(f"{target} exists and is not a model package; choose another folder") from error
    foreign = [name for name in found if name not in own or not os.path.isfile(target / name)]
    if foreign:
        raise ModelPackageError(
            f"{target} exists and is not a model package of {suffix} files alone: it holds {foreign[0]}; choose another"
            " folder"
        )


def _array_files(manifest_path: Path, suffix: str) -> set[str]:
    """Names of the files of a manifest's arrays; `ModelPackageError` if it is no manifest of this format."""
    return {str(entry["file"]).removesuffix(".npy") + suffix for entry in array_entries(read_manifest(manifest_path))}


@contextmanager
def whole_folder(folder: str | os.PathLike[str], suffix: str = ".npy") -> Iterator[Path]:
    """A new folder to write a package into; it takes the place of `folder` when all is written, and a failure leaves
    what was there.

    Parameters
    ----------
    folder, suffix
        As of `check_replaceable`, whose error is raised before and after anything is written.

    Raises
    ------
    ModelPackageError
        If the folder holds something else, or cannot be written.
    """
    check_replaceable(folder, suffix)
    target = Path(os.path.realpath(folder))  # of a link, what it points to
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            check_replaceable(target, suffix)
            if target.exists():
                earlier = temporary.with_name(f"{temporary.name}-earlier")
                try:
                    target.rename(earlier)
                    temporary.rename(target)
                except BaseException:
                    if earlier.exists() and not target.exists():
                        earlier.rename(target)
                    raise
                for file in earlier.iterdir():
                    file.unlink()
                earlier.rmdir()
            else:
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ModelPackageError(f"{folder} cannot be written: {error}") from error
