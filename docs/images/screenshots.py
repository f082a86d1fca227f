"""Take the pictures of pages, after `make demo` and with chromium: python docs/images/screenshots.py"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
EXPORT = HERE.parents[1] / "results/export/meeting/meeting.html"
COMMAND = [sys.executable, "-m", "sessionscribe.cli.main", "serve", "--profile", "demo", "--port", "0"]


def main() -> None:
    """Serve the demo and take the pictures."""
    server = subprocess.Popen(COMMAND, cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address, _, token = server.stdout.readline().strip().partition("?token=")
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 700})
            page.goto(f"{address}s/meeting?token={token}")
            page.wait_for_timeout(3000)
            page.locator("#text [data-t]").nth(60).click()
            page.wait_for_timeout(1500)
            page.keyboard.press(" ")
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=HERE / "web-session.png")
            page.goto(f"{address}search?q=the&speaker=Clara")
            page.screenshot(path=HERE / "web-search.png", clip={"x": 0, "y": 0, "width": 1200, "height": 400})
            page.set_viewport_size({"width": 944, "height": 640})
            page.goto(EXPORT.as_uri())
            page.wait_for_timeout(1000)
            page.screenshot(path=HERE / "transcript.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
