"""Pictures of a report for the documentation.

python -m tests.browser.screenshot found/report.html --out docs/report.png --height 1300
python -m tests.browser.screenshot found/report.html --out docs/report-finding.png --finding 1 --height 1150
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.browser.conftest import ARGUMENTS, PERSON, PHONE, WIDE, find_chromium
from tflite.cli import positive_int, run_main
from tflite.errors import CrackError
from tflite.files import atomic_path, refuse_existing


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html of a survey")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the picture")
    parser.add_argument("--finding", type=positive_int, metavar="N", help="open the N-th finding first")
    parser.add_argument("--height", type=positive_int, default=WIDE[1], metavar="PX", help=f"default: {WIDE[1]}")
    parser.add_argument("--phone", action="store_true", help=f"{PHONE[0]} pixels wide instead of {WIDE[0]}")
    parser.add_argument("--dark", action="store_true", help="as in a dark colour scheme")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    return parser


def run(args: argparse.Namespace) -> None:
    """Take the picture.

    Raises:
        CrackError: if there is no report or no browser, or the picture exists already.
    """
    from playwright.sync_api import sync_playwright

    name = find_chromium()
    if name is None:
        raise CrackError("no Chromium found: set CHROMIUM, or install it (Debian: apt install chromium).")
    if not args.report.is_file():
        raise CrackError(f"{args.report} does not exist. Make a survey first.")
    refuse_existing(args.out, args.overwrite)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=name, args=[*ARGUMENTS, PERSON])
        page = browser.new_page(
            viewport={"width": PHONE[0] if args.phone else WIDE[0], "height": args.height},
            color_scheme="dark" if args.dark else "light",
        )
        page.goto(args.report.resolve().as_uri())
        if args.finding is not None:
            page.locator(".open").nth(args.finding - 1).click()
        page.wait_for_timeout(1000)  # pictures are decoded beside the script
        with atomic_path(args.out) as temporary:
            page.screenshot(path=temporary)
        browser.close()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
