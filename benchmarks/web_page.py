"""How soon the page of `pynq-cnn web` is there: first paint, first use, and what is sent for it, in headless Chromium.

Needs Chromium (Debian: apt-get install chromium) and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZES = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
SLOWER = {"desktop": 1, "phone": 4}  # how much slower the browser's processor is made to be


@contextmanager
def server() -> Iterator[str]:
    """The address of a page."""
    command = [sys.executable, "-u", "-m", "pynq_cnn", "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        try:
            yield re.findall(r"http://\S+", "".join(lines))[0]
        finally:
            process.send_signal(signal.SIGTERM)


def measure(browser, url: str, size: str) -> dict[str, float]:
    """Milliseconds and kilobytes of one first visit."""
    context = browser.new_context(**SIZES[size])
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER[size]})
    page.goto(url)
    page.locator("#facts", has_text="runs on").wait_for()
    usable = page.evaluate("performance.now()")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    sent = page.evaluate("performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)")
    context.close()
    return {"first paint, ms": paint, "ready to draw, ms": usable, "sent, kB": sent / 1000}


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--visits", type=int, default=9, metavar="N", help="first visits of each kind (9)")
    visits = parser.parse_args().visits
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with server() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {visits} first visits each: median (least to most)")
        for size in SIZES:
            measure(browser, url, size)  # warms the browser's own caches of code
            rows = [measure(browser, url, size) for _ in range(visits)]
            for what in rows[0]:
                values = [row[what] for row in rows]
                middle = statistics.median(values)
                print(f"{size:8} {what:18} {middle:7.0f}  ({min(values):.0f} to {max(values):.0f})")
        browser.close()


if __name__ == "__main__":
    main()
