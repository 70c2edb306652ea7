"""How long a browser takes to open reports of more and more findings, and how large they are: a table in one CSV file.

    python -m tests.browser.opening --out results/survey/report-page.csv
    python -m tests.browser.opening --findings 100,5000 --one-file --out page.csv

Surveys are drawn (`tests.crack_tf.survey.drawn_surveys`). Seconds are of the clock, of the best of three times, from the address to the
first picture of the page; processor seconds are of the page's own thread. The folder of pictures is not counted as the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from crack_tf.survey.report.page import write_page
from studies.survey_scaling import counts
from tests.browser.conftest import ARGUMENTS, FRAME, PERSON, WIDE, cpu_seconds, find_chromium
from tests.crack_tf.survey.drawn_surveys import drawn_survey
from tflite.cli import run_main
from tflite.errors import CrackError
from tflite.files import write_csv
from tflite.hardware import board
from tflite.outputs import Output, check_file, csv_with

TIMES = 3
OUTPUT = Output("tests.browser.opening", csv_with("", "findings", "open_s"))


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table, .csv")
    parser.add_argument(
        "--findings", type=counts, default=(100, 1000, 5000), metavar="N,N", help="of each report (100,1000,5000)"
    )
    parser.add_argument("--one-file", action="store_true", help="with the pictures inside")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier table")
    return parser


def run(args: argparse.Namespace) -> None:
    """Measure and write the table, a row at a time.

    Raises:
        CrackError: if there is no browser, or the table exists already.
    """
    from playwright.sync_api import sync_playwright

    name = find_chromium()
    if name is None:
        raise CrackError("no Chromium found: set CHROMIUM, or install it (Debian: apt install chromium).")
    check_file(args.out, OUTPUT, args.overwrite)
    rows = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=name, args=[*ARGUMENTS, PERSON])
        for findings in args.findings:
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(measure(browser, Path(scratch), findings, one_file=args.one_file))
            write_csv(args.out, rows)
            row = rows[-1]
            print(
                f"{findings} findings: {row['page_mb']} MB, opened in {row['open_s']} s, sorted in {row['sort_s']} s",
                flush=True,
            )
        browser.close()


def measure(browser: Any, folder: Path, findings: int, *, one_file: bool) -> dict[str, Any]:
    """A row of the table.

    Args:
        browser: playwright's.
        folder: empty, for the survey.
        findings: how many to draw, on 2 of 5 as many photographs.
        one_file: see `crack_tf.survey.report.page.write_page`.
    """
    survey = drawn_survey(folder, findings, photos=max(24, findings * 2 // 5))
    started = time.monotonic()
    path = write_page(folder, survey, one_file=one_file)
    written = time.monotonic() - started
    opened, sorted_, cpu = [], [], []
    for _ in range(TIMES):
        page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]})
        developer = page.context.new_cdp_session(page)
        developer.send("Performance.enable", {"timeDomain": "threadTicks"})
        started = time.monotonic()
        page.goto(path.resolve().as_uri())
        page.evaluate(FRAME)
        opened.append(time.monotonic() - started)
        cpu.append(cpu_seconds(developer))
        started = time.monotonic()
        page.select_option("#sort", "width")
        page.evaluate(FRAME)
        sorted_.append(time.monotonic() - started)
        page.close()
    hardware = board()
    return {
        "findings": findings,
        "photos": len(survey.photos),
        "one_file": "yes" if one_file else "no",
        "page_mb": round(path.stat().st_size / 1e6, 2),
        "write_s": round(written, 2),
        "open_s": round(min(opened), 2),
        "open_cpu_s": round(min(cpu), 2),
        "sort_s": round(min(sorted_), 2),
        "browser": f"Chromium {browser.version}",
        "hardware": hardware["model"] or hardware["cpu"],
        "cores": hardware["cores"],
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(lambda: run(args), interrupted="The table holds what was measured so far.")


if __name__ == "__main__":
    sys.exit(main())
