"""Pictures that commands draw along the way are painted once for each place of the code; drawn again they are only set
up, as painting them is a third of what these tests take.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import CodeType
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

TESTS = str(Path(__file__).parent)
DEEP = 3  # a picture's function may hand it to another one, which saves it; behind that is who asked for it


def callers() -> tuple[CodeType, ...]:
    """The innermost functions that a picture is saved for."""
    frame, found = sys._getframe(2), []
    while frame is not None and len(found) < DEEP:
        found.append(frame.f_code)
        frame = frame.f_back
    return tuple(found)


@contextmanager
def painted_once() -> Iterator[None]:
    """Within it `Figure.savefig` paints what a test itself asks for, and the first picture of every other place."""
    paint, painted = Figure.savefig, set()

    @wraps(paint)
    def savefig(figure: Figure, path: Any, **options: Any) -> None:
        places = callers()
        asked = any(code.co_filename.startswith(TESTS) for code in places)
        if asked or places not in painted or Path(path).suffix != ".png":
            paint(figure, path, **options)
            painted.add(places)
        else:
            Image.new("L", (1, 1)).save(path)

    Figure.savefig = savefig  # type: ignore[method-assign]
    try:
        yield
    finally:
        Figure.savefig = paint  # type: ignore[method-assign]
