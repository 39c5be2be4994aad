"""What to do where the pynq library is missing."""

from __future__ import annotations

import sys

INSTALL = "pip install 'pynq_cnn[board]'"
GET_PYNQ = INSTALL if sys.version_info < (3, 13) else f"it is not for Python 3.13 and newer: take Python 3.10 to 3.12, and there {INSTALL}"
