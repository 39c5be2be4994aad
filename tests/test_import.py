"""`import pynq_cnn` is quick: it loads nothing that is not used, and needs no board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pynq_cnn

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchvision", "pynq", "cv2", "matplotlib", "sklearn", "IPython", "tornado"}


def loaded_by(code: str) -> set[str]:
    """Top-level names in `sys.modules` of a fresh interpreter after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps([name for name in sys.modules if '.' not in name]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_loads_not_even_numpy():
    assert "pynq_cnn" in (loaded := loaded_by("import pynq_cnn"))
    assert not loaded & (HEAVY | {"numpy", "PIL"})


@pytest.mark.once
def test_listing_models_and_naming_everything_load_nothing_heavy():
    names = ", ".join(name for name in pynq_cnn.__all__ if name != "__version__")
    assert not loaded_by(f"from pynq_cnn import {names}; import pynq_cnn.cli; models()") & HEAVY


@pytest.mark.once
def test_classifying_loads_nothing_heavy():
    """Also `backend="auto"`: where there is no bitstream, there is no need to ask pynq for a device."""
    code = "import pynq_cnn; from pynq_cnn.zoo import load_sample; assert pynq_cnn.classify(load_sample()[0][0]).label"
    assert not loaded_by(code) & HEAVY


@pytest.mark.once
def test_nothing_heavy_is_needed():
    """The same where importing any of them fails."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({sorted(HEAVY)!r}))"
    assert "pynq_cnn" in loaded_by(
        f"{blocked}\nfrom pynq_cnn.cli import main\nassert main(['selftest']) == 0 and main(['demo']) == 0"
    )


def test_names():
    """Every name that `dir` lists is there, and is that of its own module."""
    assert set(dir(pynq_cnn)) == set(pynq_cnn.__all__) == {*pynq_cnn._HOMES, "__version__"}
    for name, home in pynq_cnn._HOMES.items():
        value = getattr(pynq_cnn, name)
        assert value.__name__ == name
        assert value.__module__ == f"pynq_cnn.{home}"
    assert issubclass(pynq_cnn.ArgumentError, pynq_cnn.PynqCnnError)


def test_names_that_are_not_there():
    assert not hasattr(pynq_cnn, "clasify")
    with pytest.raises(AttributeError, match="module 'pynq_cnn' has no attribute 'clasify'"):
        pynq_cnn.clasify  # noqa: B018
    with pytest.raises(ImportError, match="clasify"):
        from pynq_cnn import clasify  # noqa: F401
