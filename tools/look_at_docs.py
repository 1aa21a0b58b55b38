"""Look at all pages of the built documentation in a browser without a window.

``python -m tools.look_at_docs`` opens each page of ``docs/_build/html`` wide and narrow,
light and dark, and writes a screenshot of each into ``docs/_build/look``. It prints what a
reader would stumble over, and ends with 1 if there is something: a page wider than its
window, a picture or a link that leads nowhere, text with too little contrast, a formula
that is not set, a search for ``fit`` without a result.

The browser is Chromium of the system, or the one that the variable CHROMIUM names. MathJax,
which sets formulas, comes from the network, or from the folder that the variable MATHJAX
names, after ``npm install mathjax@4`` there.
"""

import argparse
import functools
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).parents[1] / "docs" / "_build"
SIZES = {"wide": (1400, 900), "narrow": (400, 800)}  # of the window, in pixels
SCHEMES = ("light", "dark")
MIN_CONTRAST = 3.0  # of text, as WCAG 2.1 asks of large text
MAX_HEIGHT = 6_000  # of a screenshot, in pixels

# Finds text whose colour is too near to that of its background.
CONTRAST = """
(least) => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) =>
      c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const main = document.querySelector("main") || document.body;
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("svg, mjx-container, script, style")) continue;
    const style = getComputedStyle(element);
    const pair = [parse(style.color), background(element)].map(luminance);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < least) found.add(walker.currentNode.data.trim().slice(0, 40));
  }
  return [...found].slice(0, 3);
}
"""
WIDER = "() => document.documentElement.scrollWidth - window.innerWidth"
PICTURES = """() => [...document.images].filter((i) => i.complete && !i.naturalWidth)
  .map((i) => i.getAttribute("src"))"""
MATHJAX = "https://cdn.jsdelivr.net/npm/"  # all that a page loads from elsewhere
# Counts the formulas that stay as they are written, and those with an error.
FORMULAS = """async () => {
  const formulas = [...document.querySelectorAll(".math")];
  if (formulas.length && window.MathJax?.startup?.promise) await MathJax.startup.promise;
  return formulas.filter((f) => !f.querySelector("mjx-container")
    || f.querySelector("mjx-merror")).length;
}"""
LINKS = """() => [...document.querySelectorAll("a[href]")].map((a) => a.href)"""


def list_pages(folder: Path) -> list[str]:
    """List the pages, by their paths below `folder`."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.html"))
    others = {"_static", "sg_execution_times.html"}  # files, and seconds of examples
    return [path.as_posix() for path in paths if others.isdisjoint(path.parts)]


def serve(folder: Path) -> ThreadingHTTPServer:
    """Serve `folder` on a free port of this machine: search needs a server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None: ...

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def find_faults(page: Page) -> Iterator[str]:
    """Find what is wrong with a page as it is shown."""
    if (excess := page.evaluate(WIDER)) > 1:
        yield f"{excess} pixels wider than the window"
    yield from (f"no picture at {source}" for source in page.evaluate(PICTURES))
    if n_formulas := page.evaluate(FORMULAS):
        yield f"{n_formulas} formulas are not set"
    yield from (
        f"hardly to be read: {text!r}" for text in page.evaluate(CONTRAST, MIN_CONTRAST)
    )


def find_broken_links(page: Page, address: str, folder: Path) -> Iterator[str]:
    """Find links to files of the documentation that are not there."""
    for link in set(page.evaluate(LINKS)):
        path = link.removeprefix(address).partition("#")[0].partition("?")[0]
        if link.startswith(address) and not (folder / path.lstrip("/")).exists():
            yield f"no page at {link}"


def fetch_mathjax(route: Route) -> None:
    """Answer a request for MathJax from the folder that MATHJAX names, if there is one."""
    folder = os.environ.get("MATHJAX")
    package = re.sub(r"@\d[\d.]*", "", route.request.url.removeprefix(MATHJAX))
    path = Path(folder or "", "node_modules", package)
    if not route.request.url.startswith(MATHJAX) or (folder and not path.exists()):
        route.abort()
    elif folder:
        route.fulfill(path=path)
    else:
        route.continue_()


def look(folder: Path, out: Path, names: list[str]) -> int:
    """Look at pages, and count what is wrong."""
    server, n_faults = serve(folder), 0
    address = f"http://127.0.0.1:{server.server_port}"
    out.mkdir(parents=True, exist_ok=True)
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )
        for size, (width, height) in SIZES.items():
            for scheme in SCHEMES:
                context = chromium.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                context.route(lambda url: not url.startswith(address), fetch_mathjax)
                page = context.new_page()
                for name in names:
                    page.goto(f"{address}/{name}", wait_until="load")
                    faults = list(find_faults(page))
                    if (size, scheme) == ("wide", "light"):
                        faults += find_broken_links(page, address, folder)
                    for fault in faults:
                        print(f"{name} ({size}, {scheme}): {fault}")
                    n_faults += len(faults)
                    path = out / f"{name.replace('/', '-')}-{size}-{scheme}.png"
                    tall = min(page.evaluate("document.body.scrollHeight"), MAX_HEIGHT)
                    page.set_viewport_size({"width": width, "height": max(tall, height)})
                    page.screenshot(path=path)
                    page.set_viewport_size({"width": width, "height": height})
                context.close()
        page = chromium.new_page()
        page.goto(f"{address}/search.html?q=fit")
        page.wait_for_selector("#search-results .search-summary", timeout=30_000)
        page.wait_for_timeout(2_000)
        n_results = page.locator("#search-results li").count()
        print(f"{n_results} results for fit; {len(names)} pages, {n_faults} faults")
        chromium.close()
    server.shutdown()
    return n_faults + (n_results == 0)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", help="pages to look at; all by default")
    parser.add_argument("--html", type=Path, default=ROOT / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "look")
    given = parser.parse_args(arguments)
    if not given.html.exists():
        parser.error(f"{given.html} is not there: build the documentation by make docs.")
    return int(look(given.html, given.out, given.pages or list_pages(given.html)) > 0)


if __name__ == "__main__":
    sys.exit(main())
