"""Make the pictures of docs/screens from the demo: python -m tools.screens [--url URL of a dashboard].

Without --url the demo is started, filled and ended. Needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from collector.client import Client

FOLDER = Path(__file__).parents[1] / "docs" / "screens"
PICTURES = {
    "overview": ("/", "light"),
    "run": ("/runs?status=failed&task=charge-order&range=7d", "light"),
    "tasks": ("/tasks?task=charge-order", "light"),
    "queues": ("/queues?queue=media", "dark"),
    "conventions": ("/conventions", "light"),
}
WIDTH, HIGHEST = 1440, 1500
READY = "[data-testid=stApp][data-test-script-state=notRunning]"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run the demo and yield the URL of its dashboard."""
    with tempfile.TemporaryDirectory(prefix="runwell-screens-") as folder:
        options = [word for port in ("http", "grpc", "api", "dashboard") for word in (f"--{port}-port", "0")]
        command = [str(Path(sys.executable).with_name("runwell")), "demo", "--data", f"{folder}/data", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            where = Path(folder) / "data" / "runwell.json"
            deadline = time.monotonic() + 300
            while not (where.exists() and "dashboard" in json.loads(where.read_text())):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("the demo did not start; run `runwell demo` to see why")
                time.sleep(0.5)
            ports = {
                name: address["port"]
                for name, address in json.loads(where.read_text()).items()
                if isinstance(address, dict)
            }
            judged(f"http://127.0.0.1:{ports['api']}")
            yield f"http://127.0.0.1:{ports['dashboard']}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def judged(url: str) -> None:
    """Wait until rules have judged what the runwell at *url* received."""
    client = Client(url)
    while (at := client.check(since="7d")["judged"])["journal_seq"] > min(at["run_rules_seq"], at["window_rules_seq"]):
        time.sleep(1)
    client.close()


def settled(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_selector(READY, timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2_000)  # charts draw after the script has ended


def main() -> None:
    """Write every picture."""
    parser = argparse.ArgumentParser(description="Make the pictures of docs/screens.")
    parser.add_argument("--url", help="URL of a running dashboard with the demo's data")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        url = args.url or stack.enter_context(demo())
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS
        )
        for name, (path, scheme) in PICTURES.items():
            context = browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light", viewport={"width": WIDTH, "height": 900}
            )
            page = context.new_page()
            page.goto(url + path)
            settled(page)
            if name == "run":  # open the first one
                box = page.locator("[data-testid=stDataFrame] canvas").first.bounding_box()
                assert box is not None
                page.mouse.click(box["x"] + 16, box["y"] + 51)
                page.wait_for_selector(".waterfall .row", timeout=30_000)
                settled(page)
            height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
            page.set_viewport_size({"width": WIDTH, "height": min(HIGHEST, int(height))})
            page.wait_for_timeout(1_000)
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()
            print(f"docs/screens/{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
