"""Builds pynq_cnn. The metadata is here, and not in pyproject.toml, because the board's setuptools (59.6) does not read
it there.
"""

import os
from pathlib import Path

import setuptools
from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
HLS = ROOT / "hls_src"


def build_hash() -> str:
    """The hash that `hls_src/build_hash.py` prints: identifies the kernel's sources in the `build` register."""
    scope = {"__name__": "build_hash", "__file__": str(HLS / "build_hash.py")}
    exec((HLS / "build_hash.py").read_text(encoding="utf-8"), scope)
    return f"0x{scope['build_hash']():08x}u"


# The kernel of the FPGA design, compiled for this machine. Optional: without a compiler the package installs all the
# same and runs on the reference.
engine = Extension(
    "pynq_cnn.backends.kernel._engine",
    sources=["hls_src/engine.cpp", "hls_src/host/abi.cpp"],
    depends=[str(path.relative_to(ROOT)) for path in sorted(HLS.glob("*.hpp"))],
    define_macros=[("PCNN_BUILD", build_hash())],
    extra_compile_args=[
        "-std=c++14",
        "-O3",
        "-g0",
        "-Wno-unknown-pragmas",
        "-Wno-unused-label",
        # GCC makes vector code of loops over 16 lanes only where it leaves them loops: a fifth faster.
        "--param",
        "max-completely-peel-times=8",
    ],
    language="c++",
    optional=True,
)

# The execution for this machine's CPU, with every instruction set that the compiler knows for such a machine; which one
# runs is decided where it runs, so that a wheel is good for other machines as well. Optional like the kernel.
CPU = ROOT / "cpu_src"
cpu = Extension(
    "pynq_cnn.backends.cpu._cpu",
    sources=[str(path.relative_to(ROOT)) for path in sorted([*CPU.glob("*.cpp"), *CPU.glob("sets/*.cpp")])],
    depends=[str(path.relative_to(ROOT)) for path in sorted(CPU.glob("*.hpp"))],
    # GCC 12 takes the undefined operands in its own AVX-512 intrinsics for a mistake (its bug 105593).
    extra_compile_args=["-std=c++14", "-O3", "-g0", "-pthread", "-Wno-maybe-uninitialized", "-Wno-unknown-pragmas"],
    extra_link_args=["-pthread"],
    language="c++",
    optional=True,
)

train = ["torch>=2.1", "scikit-learn>=1.2", "scipy>=1.7", "matplotlib>=3.6", "tqdm>=4.60"]
# The pynq library for laptops: a board's image has its own, 3.0.1 or 3.1, which must stay. 4.0 dropped the PYNQ-Z2. The
# grpcio that pynq pins has no wheel for Python 3.13. pynq wants NumPy 1, which pip finds out late if only pynq says so,
# and imports a module that pycparser 3 does not have.
LAPTOP = "python_version < '3.13' and platform_machine != 'armv7l'"
board = [f"{requirement}; {LAPTOP}" for requirement in ("pynq>=3.1.2,<4", "numpy<2", "pycparser<3")]
notebooks = ["jupyterlab>=3", "matplotlib>=3.6"]
web = ["tornado>=6.1"]  # Jupyter brings it, to every board
onnx = ["onnx>=1.15", "onnx2torch>=1.5.15"]
vision = ["opencv-python>=4.5.4", "torchvision>=0.16"]
test_light = [
    *board,
    *web,
    "pytest>=7",
    "setuptools",
    "hypothesis>=6.80",
    "nbclient>=0.7",
    "ipykernel>=6",
    "matplotlib>=3.6",
]
# clang and libclang of one version, for the audit of hls_src (hls_src/audit/toolchain.py).
audit = ["ziglang==0.13.0", "libclang==18.1.1"]
# With Debian's chromium; it has no wheel for 32-bit machines.
browser = ["playwright>=1.40; platform_machine == 'x86_64' or platform_machine == 'aarch64'"]
test = [*test_light, *train, *audit, *browser, "ruff>=0.6", "mypy>=1.8"]

# The tools that build the pages, pinned: a new one may warn of something else, and a warning is an error there. These
# are good for Python 3.10 to 3.13.
docs = ["sphinx==8.1.3", "myst-nb==1.3.0", "furo==2025.9.25"]

# An SPDX expression either way; setuptools takes it as one from 77 on.
LICENSE_FIELD = "license_expression" if int(setuptools.__version__.partition(".")[0]) >= 77 else "license"

setup(
    name="pynq_cnn",
    version="0.1.0",
    description="Convolutional networks on the PYNQ-Z2: one overlay, and the same bits on a laptop",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    **{LICENSE_FIELD: "Apache-2.0"},
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["pynq_cnn", "pynq_cnn.*", "host_train", "host_train.*"]),
        "pynq_cnn.overlays",
        "pynq_cnn.notebooks",
    ],
    package_dir={"pynq_cnn.overlays": "overlays", "pynq_cnn.notebooks": "notebooks"},
    package_data={
        "pynq_cnn": ["models/*/*", "samples/*", "web/page/*", "py.typed"],
        "pynq_cnn.overlays": ["*.bit", "*.hwh", "*.md"],
        "pynq_cnn.notebooks": ["*.ipynb"],
    },
    install_requires=["numpy>=1.21", "Pillow>=9"],
    extras_require={
        "train": train,
        "board": board,
        "vision": vision,
        "onnx": onnx,
        "notebooks": notebooks,
        "web": web,
        "test-light": test_light,
        "test": test,
        "audit": audit,
        "docs": docs,
    },
    ext_modules=[] if os.environ.get("PYNQ_CNN_NO_KERNEL") else [engine, cpu],
    entry_points={
        "console_scripts": ["pynq-cnn = pynq_cnn.cli:main"],
        "pynq.notebooks": ["pynq_cnn = pynq_cnn.notebooks"],
    },
)
