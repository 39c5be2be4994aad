"""`python -m host_train`."""

import sys

from host_train.cli import main

if __name__ == "__main__":
    sys.exit(main())
