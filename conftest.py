"""Where PyTorch, pynq or tornado is not installed, pytest leaves out the modules whose doctests would import them."""

from importlib.util import find_spec

NEEDS_TORCH = (
    "host_train/compression",
    "host_train/evaluation",
    "host_train/export",
    "host_train/foreign/onnx_bits.py",
    "host_train/foreign/onnx_file.py",
    "host_train/foreign/onnx_plain.py",
    "host_train/foreign/onnx_quantised.py",
    "host_train/layers",
    "host_train/networks",
    "host_train/quantisation",
    "host_train/runs",
    "host_train/settings.py",
    "host_train/spectrum",
    "host_train/tracing",
    "host_train/training",
)
NEEDS_PYNQ = (
    "pynq_cnn/backends/overlay/accelerator.py",
    "pynq_cnn/backends/overlay/driver.py",
    "pynq_cnn/backends/overlay/interrupt.py",
    "pynq_cnn/backends/overlay/loaded.py",
    "pynq_cnn/backends/overlay/backend.py",
    "pynq_cnn/virtual_board",
    "tests/soak.py",
)
NEEDS_TORNADO = ("pynq_cnn/web/handlers.py", "pynq_cnn/web/server.py")

collect_ignore = [
    "pynq_cnn/tests/test_examples.py",  # for installations: here pytest runs the doctests itself
    *([] if find_spec("torch") else NEEDS_TORCH),
    *([] if find_spec("pynq") else NEEDS_PYNQ),
    *([] if find_spec("tornado") else NEEDS_TORNADO),
]
