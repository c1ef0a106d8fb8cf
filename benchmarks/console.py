"""How light the console is, and how soon its first page can be used.

    python -m benchmarks.console [--times 7]

Each time a browser that knows nothing of it yet opens the console of a local run, and tries whether the first of the
totals can be clicked. Needs Chromium (Debian: apt install chromium).
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from benchmarks.local import LocalRun
from benchmarks.throughput import submit_all
from tests.console.browser import browsing

CONSOLE = Path(__file__).parents[1] / "console"
SERVED = (".html", ".css", ".js", ".json", ".svg")
LANGUAGES = {"en-GB": "in English", "zh-CN": "in Chinese"}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--times", type=int, default=7)
    asked = parser.parse_args()
    weights = [len(gzip.compress(it.read_bytes())) for it in CONSOLE.rglob("*") if it.suffix in SERVED]
    print(f"console     {sum(weights):,} bytes gzipped, in {len(weights)} files  (goal: 120,000)")
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        run = LocalRun(Path(folder))
        run.start()
        try:
            submit_all(run, 20, 1, f"{run.receiver}/ok")  # of nothing there are no totals
            for locale, told in LANGUAGES.items():
                seconds = sorted(_first_pages(browser, f"{run.api}/", locale, asked.times))
                print(f"first page  {told}: median {median(seconds):.2f} s, worst {seconds[-1]:.2f} s  (goal: 1)")
        finally:
            run.stop()


def _first_pages(browser: Browser, url: str, locale: str, times: int) -> Iterator[float]:
    """Seconds until it can be used, with nothing in any cache."""
    for _ in range(times):
        context = browser.new_context(locale=locale)
        page = context.new_page()
        began = time.perf_counter()
        page.goto(url)
        page.locator(".totals a").first.click(trial=True)
        yield time.perf_counter() - began
        context.close()


if __name__ == "__main__":
    main()
