"""`python -m crack_tf.report RUN`: execute the notebook that fits what RUN is, and write one self-contained HTML file.

    a run folder of crack-tf train      02_training; several are compared
    a folder of crack-tf tune           03_tuning
    .tflite files, or a folder of them  04_quantisation_and_benchmark
    a run folder, .keras or .tflite     05_explanations_and_errors, when asked for
    the same of a model that draws masks  06_segmentation_and_foreground
    a folder of crack-tf survey         07_survey
    a manifest .csv                     01_data_and_splits

Without RUN, `--notebook` executes a notebook on a small made-up data set. Nothing is written but the HTML, and with `--figures` its
pictures.
"""

from __future__ import annotations

import argparse
import sys

from crack_tf.reporting.report import SUBJECTS, ReportConfig, make_report
from tflite.cli import Parser, named_path, run_main


def make_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = Parser(
        prog="crack-tf report",
        description="Execute the notebook that fits a run and write one self-contained HTML file.",
    )
    add = parser.add_argument
    add(
        "runs",
        nargs="*",
        metavar="RUN",
        help="run folder(s), folder of a search or a survey, .tflite file(s), or manifest .csv",
    )
    add(
        "--notebook",
        metavar="NAME",
        help=f"of {', '.join(SUBJECTS)}, or its number (default: the one that fits RUN); without RUN on made-up data",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another parameter of the notebook, as in its first code cell; VALUE as Python literal or text",
    )
    add("--out", type=named_path, default=None, metavar="FILE.html", help="default: runs/reports/NOTEBOOK[-RUN].html")
    add("--figures", type=named_path, metavar="DIR", help="also write the report's pictures there, as small PNG files")
    add(
        "--pick",
        action="append",
        default=[],
        metavar="WORD",
        help="of --figures, only those whose description holds WORD",
    )
    add("--overwrite", action="store_true", help="replace files")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    args = make_parser().parse_args(argv)
    return run_main(
        lambda: run(args), interrupted="No report was written.", needs=("papermill", "nbconvert", "ipykernel")
    )


def run(args: argparse.Namespace) -> None:
    """Execute and write as the parsed options say."""
    config = ReportConfig(
        runs=tuple(args.runs),
        notebook=args.notebook,
        settings=tuple(args.set),
        figures=args.figures,
        pick=tuple(args.pick),
    )
    report = make_report(config, args.out, args.overwrite)
    for path in (report.path, *report.figures):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
