"""`python -m pynq_cnn`: the same as `pynq-cnn`."""

import sys

from pynq_cnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
