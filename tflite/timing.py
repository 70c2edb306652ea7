"""Models measured row by row, each in a process of its own: what `tflite.benchmark` does once its options are read."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tflite import hardware
from tflite.arguments import check_choice, check_counts, check_types
from tflite.bare import is_bare
from tflite.errors import CrackError, ModelFileError
from tflite.files import run_name
from tflite.graph import EDGETPU_OPERATOR, read_graph
from tflite.isolate import can_spawn, in_child
from tflite.manifest import SPLITS, Manifest, refuse_mixed
from tflite.measure import MIN_RUNS, Job, PhotoTime, TileSet, compare, load_runner, measure, select_tiles
from tflite.outputs import Output, check_file, json_with
from tflite.plots import benchmark_plot, sustained_plot
from tflite.power import UNITS, power_source
from tflite.results import FORMAT, board_name, result_path, write_result
from tflite.segmenter import load_model
from tflite.sidecar import read_sidecar
from tflite.sustained import Load
from tflite.tables import format_table, number
from tflite.words import counted

IDLE_SECONDS = 10.0  # of rest before a load, where there is a power reading
ENERGY_SECONDS = 20.0  # of load for a power reading where no --sustained asks for more
LEAST_MINUTES = 0.05
BUNDLE = Path("bundle.json")  # names the folder of an unpacked bundle
_BUNDLE_THREADS = (1, 2, 4)


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured, and how.

    Attributes:
        models: .tflite files; without a sidecar only a file's latency is measured.
        no_sidecar: time the files alone, whatever lies beside them.
        split: of the manifest.
        limit: use so many tiles, spread evenly over the split; None for all.
        threads: CPU threads, one row each; None for one.
        delegate: of `DELEGATES`, one row each; None for xnnpack, or edgetpu where a model is compiled for it.
        runs: timed runs per row.
        warmup: runs before them, not timed.
        compare: also run all models in turn in one process.
        sustained: minutes to go on deciding for, or None.
        fps: decisions per second to keep up meanwhile, or None for as fast as they go.
        power_file, power_command, power_unit: where the board's present power is read, and its unit; None for nowhere.
        out: folder for the results.
        overwrite: replace earlier results of the same name there.

    Raises:
        CrackError: naming the field as the command line does.
    """

    models: Sequence[Path]
    no_sidecar: bool = False
    split: str = "test"
    limit: int | None = None
    threads: Sequence[int] | None = None
    delegate: Sequence[str] | None = None
    runs: int = 100
    warmup: int = 10
    compare: bool = False
    sustained: float | None = None
    fps: float | None = None
    power_file: Path | None = None
    power_command: str | None = None
    power_unit: str | None = None
    out: Path = Path("benchmarks")
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("split", self.split, (*SPLITS, "all"))
        check_counts(self, "limit", "runs")
        check_counts(self, "warmup", least=0)
        check_choice("power_unit", self.power_unit, tuple(UNITS))


def environment() -> dict[str, Any]:
    """Hardware and software the rows were measured with."""
    import PIL

    return {
        "hardware": hardware.describe(),
        "board": hardware.board(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "litert": hardware.runtime_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def measure_models(
    config: BenchmarkConfig,
    manifest: Manifest | None = None,
    photo_time: Callable[[Job], PhotoTime | None] | None = None,
    names: Mapping[Path, str] | None = None,
) -> None:
    """Measure models, print the table, and write each row as soon as it is measured.

    Args:
        config: which, and how.
        manifest: of the tiles for accuracy and end-to-end time, or None for latency alone.
        photo_time: times a whole photograph, in a process of its own; None to time none.
        names: what rows of some models are called; of the others their files' names.

    Raises:
        CrackError: if anything is wrong with the arguments, the manifest or a model; before the first measurement.
    """
    load = _load(config)
    if config.runs < MIN_RUNS:
        raise CrackError(f"--runs {config.runs}: at least {MIN_RUNS} are needed for percentiles that mean something.")
    if not config.models:
        raise CrackError("no model given: name .tflite files, or give --report with the results of earlier runs.")
    if config.compare and len(config.models) < 2:
        raise CrackError("--compare needs at least two models, got one.")
    json_path, csv_path, plot_path = (result_path(config.out, suffix) for suffix in (".json", ".csv", ".png"))
    output = Output("tflite.benchmark", lambda _: json_with("", format=FORMAT)(json_path))
    for path in (json_path, csv_path, plot_path, _sustained_path(plot_path)):
        check_file(path, output, config.overwrite, inputs=config.models)
    if manifest is not None:
        refuse_mixed(manifest, "a benchmark")
    tiles = select_tiles(manifest, config.split, config.limit) if manifest is not None else None
    jobs = _jobs(config, tiles, load, names)
    isolated = can_spawn()
    _check(jobs, isolated)
    if manifest is not None:
        _check_tasks(jobs, manifest)
    _warn_about_bare(jobs)
    surroundings = environment()
    _warn_about_clock(surroundings["hardware"]["governor"])
    _warn_about_history(surroundings["board"]["throttled_since_boot"])
    if not isolated:
        _warn("this Python cannot start itself again (an emulator?): all rows share one process and its peak memory.")
    elsewhere = in_child if isolated else _in_process

    record: dict[str, Any] = {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": surroundings,
        "rows": [],
        "compare": [],
    }
    for job in jobs:
        print(f"measuring {_title(job)}", file=sys.stderr)
        row = elsewhere(measure, job) | {"isolated": isolated}
        if photo_time is not None and not job.bare and (found := elsewhere(photo_time, job)) is not None:
            row |= asdict(found)
        record["rows"].append(row)
        write_result(record, json_path, csv_path)
        _warn_about_row(row)
    if config.compare:
        for group in _alike(jobs):
            print(f"comparing {counted(len(group), 'model')}, {_setting(group[0])}", file=sys.stderr)
            record["compare"] += map(asdict, elsewhere(compare, group))
            write_result(record, json_path, csv_path)
    _print(record)
    print(f"\n{csv_path}\n{json_path}")
    _draw(record, plot_path)


@dataclass(frozen=True)
class Bundled:
    """What is measured in the folder of an unpacked bundle where nothing else is said.

    Attributes:
        models: its .tflite files that run here.
        manifest: of its evaluation tiles; None where it has none.
        threads: counts worth knowing on this board.
        delegates: the same.
    """

    models: tuple[Path, ...]
    manifest: Path | None
    threads: tuple[int, ...]
    delegates: tuple[str, ...] = ("xnnpack", "none", "edgetpu")


def find_bundled() -> Bundled:
    """What to measure here.

    Raises:
        CrackError: if the bundle holds no model.
    """
    models = sorted(Path("models").glob("*.tflite"))
    if not models:
        raise CrackError("this bundle holds no model: models/*.tflite is empty. Unpack it again.")
    for path in [path for path in models if _compiled(path)]:
        try:
            load_model(path, delegate="edgetpu")
        except CrackError as error:
            _warn(f"left out {path}: {error}")
            models.remove(path)
    manifest = Path("evaluation/manifest.csv")
    cores = hardware.describe()["cores"]
    threads = tuple(count for count in _BUNDLE_THREADS if count <= cores)
    return Bundled(tuple(models), manifest if manifest.exists() else None, threads)


def _load(config: BenchmarkConfig) -> Load | None:
    """The load that --sustained and a power reading ask for; a first reading is taken, so that a bad one is named now."""
    power = power_source(config.power_file, config.power_command, config.power_unit)
    if config.sustained is None:
        if config.fps is not None:
            raise CrackError(f"--fps {config.fps:g}: say for how long, with --sustained MINUTES.")
        if power is None:
            return None
    elif config.sustained < LEAST_MINUTES:
        raise CrackError(
            f"--sustained {config.sustained:g}: at least {LEAST_MINUTES:g} minutes; heat takes ten or more."
        )
    if power is not None:
        print(f"power reading {power}: {power.watts():.3f} W now", file=sys.stderr)
    seconds = ENERGY_SECONDS if config.sustained is None else config.sustained * 60
    return Load(seconds, config.fps, power, IDLE_SECONDS)


def _jobs(
    config: BenchmarkConfig, tiles: TileSet | None, load: Load | None, names: Mapping[Path, str] | None = None
) -> list[Job]:
    """One job per model, thread count and delegate.

    A model compiled for the Edge TPU runs nowhere else, and no other model runs there: of several delegates each model gets
    those that can run it. Asked for a single wrong one, it keeps that, and loading it says what is wrong.
    """
    jobs = []
    for path, name in zip(config.models, _names(config.models, names or {}), strict=True):
        compiled, bare = _compiled(path), config.no_sidecar or is_bare(path)
        asked = config.delegate or ["edgetpu" if compiled else "xnnpack"]
        fitting = [delegate for delegate in asked if compiled == (delegate == "edgetpu")]
        for threads in config.threads or [1]:
            for delegate in fitting or asked:
                jobs.append(Job(path, name, threads, delegate, config.runs, config.warmup, tiles, load, bare))
    return jobs


def _compiled(path: Path) -> bool:
    """Whether a file was compiled for the Edge TPU. False for one that cannot be read: `_check` says why."""
    try:
        return any(operator.name == EDGETPU_OPERATOR for operator in read_graph(path).operators)
    except CrackError:
        return False


def _check(jobs: Sequence[Job], isolated: bool) -> None:
    """Load every model once with every delegate, so that a bad one is named before any time is spent.

    Raises:
        CrackError: naming the first file or delegate that does not work.
    """
    threads = max(job.threads for job in jobs)
    for job in {(job.path, job.delegate): replace(job, threads=threads) for job in jobs}.values():
        # Nothing says whether a file without sidecar is whole, and a damaged one may end the process that loads it.
        if job.bare and isolated:
            try:
                in_child(_loads, job)
            except ModelFileError:
                raise
            except CrackError as error:
                raise CrackError(f"{job.path} cannot be run: {error}") from None
        else:
            load_runner(job)
        read_graph(job.path)


def _loads(job: Job) -> None:
    load_runner(job)


def _check_tasks(jobs: Sequence[Job], manifest: Manifest) -> None:
    """Refuse models that cannot be measured on the manifest.

    Raises:
        CrackError: naming the first.
    """
    needs = {"classify": "tiles with labels", "segment": "photographs with masks"}
    for path in dict.fromkeys(job.path for job in jobs if not job.bare):
        task = read_sidecar(path).task
        if task != manifest.task:
            raise CrackError(
                f"{path} needs {needs[task]}, and manifest {manifest.source or manifest.name} holds {needs[manifest.task]}. "
                "Choose another manifest, or leave it out to measure time alone."
            )


def _in_process(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)


def _alike(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs of equal threads and delegate together, where there are at least two models to compare."""
    groups: dict[tuple[int, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.threads, job.delegate), []).append(job)
    return [group for group in groups.values() if len(group) > 1]


def _setting(job: Job) -> str:
    return f"{job.threads} thread(s), {job.delegate}"


def _title(job: Job) -> str:
    rate = "" if job.load is None or job.load.fps is None else f" at {job.load.fps:g} per second"
    load = "" if job.load is None else f", then {job.load.seconds:g} s of load{rate}"
    return f"{job.name}, {_setting(job)}{load}"


def _print(record: Mapping[str, Any]) -> None:
    rows = record["rows"]
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "model": lambda row: str(row["model"]),
        "threads": lambda row: str(row["threads"]),
        "delegate": lambda row: (
            f"{row['delegate']} ({row['nodes_total'] - row['nodes_remaining']}/{row['nodes_total']})"
        ),
        "p50 ms": lambda row: number(row["p50_ms"]),
        "p90 ms": lambda row: number(row["p90_ms"]),
        "peak MB": lambda row: number(row["peak_rss_mb"], 0),
        "file kB": lambda row: number(row["file_bytes"] / 1e3, 0),
        "MMAC": lambda row: number(row["macs"] / 1e6, 1),
    }
    if any(row.get("pixel_f1") is not None for row in rows):
        columns |= {
            "pixel F1": lambda row: number(row["pixel_f1"], 4),
            "IoU": lambda row: number(row["pixel_iou"], 4),
            "recall": lambda row: number(row["pixel_recall"], 4),
            "photo->mask p50 ms": lambda row: number(row["total_p50_ms"], 0),
        }
    elif any(row["manifest"] is not None for row in rows):
        columns |= {
            "tiles": lambda row: str(row["tiles"]),
            "recall (95 %)": lambda row: _share(row, "recall", "tp", "fn"),
            "specificity (95 %)": lambda row: _share(row, "specificity", "tn", "fp"),
            "AUC": lambda row: number(row["auc"], 4),
            "JPEG->decision p50 ms": lambda row: number(row["total_p50_ms"]),
        }
    if any(row.get("photo_s") is not None for row in rows):
        columns["12 MP photo s"] = lambda row: number(row.get("photo_s"), 1)
    print(format_table(rows, columns))
    if rows[0]["sustained"] is not None:
        print("\nUnder load:")
        print(format_table(rows, _load_columns(rows)))
    if record["compare"]:
        print(f"\nRun in turn in one process; ratios against {record['compare'][0]['model']}, below 1 is faster:")
        print(
            format_table(
                record["compare"],
                {
                    "model": lambda row: str(row["model"]),
                    "threads": lambda row: str(row["threads"]),
                    "delegate": lambda row: str(row["delegate"]),
                    "p50 ms": lambda row: number(row["p50_ms"]),
                    "ratio of medians": lambda row: number(row["ratio"], 3),
                    "median of paired ratios": lambda row: number(row["paired_ratio"], 3),
                },
            )
        )


def _share(row: Mapping[str, Any], name: str, right: str, wrong: str) -> str:
    """A share of tiles with their number and its interval: few tiles say little, however well they went."""
    if row[name] is None:
        return number(None)
    interval = f"{row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f}"
    return f"{row[name]:.4f}, {row[right]:,} of {row[right] + row[wrong]:,} ({interval})"


def _load_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Callable[[Mapping[str, Any]], str]]:
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "model": lambda row: str(row["model"]),
        "threads": lambda row: str(row["threads"]),
        "decisions": lambda row: str(row["decisions"]),
        "per s": lambda row: number(row["decisions_per_s"]),
        "late": lambda row: str(row["late"]),
        "dropped": lambda row: str(row["dropped"]),
        "p50 ms": lambda row: number(row["sustained_p50_ms"]),
        "p99 ms": lambda row: number(row["sustained_p99_ms"]),
        "first -> last tenth, p50 ms": lambda row: (
            f"{number(row['sustained_first_p50_ms'])} -> {number(row['sustained_last_p50_ms'])}"
        ),
        "max C": lambda row: number(row["temperature_max_c"], 1),
        "min MHz": lambda row: number(row["clock_min_mhz"], 0),
    }
    if rows[0]["power_load_w"] is not None:
        columns |= {
            "idle W": lambda row: number(row["power_idle_w"]),
            "load W": lambda row: number(row["power_load_w"]),
            "mJ/decision": lambda row: number(row["joules_per_decision"] * 1e3, 1),
            "gross mJ": lambda row: number(row["joules_per_decision_gross"] * 1e3, 1),
        }
    return columns


def _draw(record: Mapping[str, Any], path: Path) -> None:
    machine = record["environment"]["hardware"]
    title = f"{board_name(record)}, {machine['cores']} cores, LiteRT {record['environment']['litert']}"
    loaded = any(row["sustained"] is not None for row in record["rows"])
    for picture, plot in ((path, benchmark_plot), (_sustained_path(path), sustained_plot if loaded else None)):
        picture.unlink(missing_ok=True)  # an earlier run's picture would not show these rows
        if plot is None:
            continue
        try:
            plot(record["rows"], picture, title=title)
        except CrackError as error:
            print(f"no picture: {error}")
            return
        print(picture)


def _sustained_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-sustained{path.suffix}")


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _warn_about_bare(jobs: Sequence[Job]) -> None:
    for path in dict.fromkeys(job.path for job in jobs if job.bare):
        _warn(
            f"{path} is timed without a sidecar: only its latency is measured, on made-up input. Its accuracy is not measured. "
            "crack-tf adopt writes a sidecar for a model made elsewhere."
        )


def _warn_about_clock(governor: str | None) -> None:
    if governor not in (None, "performance"):
        _warn(
            f"the clock governor is {governor!r}, so early runs are slower than late ones. For steady numbers: "
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )


def _warn_about_history(since_boot: Sequence[str] | None) -> None:
    if since_boot:
        _warn(
            f"since it started, this board has been slowed by: {', '.join(since_boot)}. The firmware tells of another time only "
            "while it lasts, so restart the board for results that can be trusted."
        )


def _warn_about_row(row: Mapping[str, Any]) -> None:
    if row["throttled_during"]:
        _warn(
            f"the board was slowed while {row['model']} was measured: {row['throttled_during']}. "
            "These times are not what it can do: cool it, or give it a stronger power supply, and measure again."
        )
    if row.get("joules_per_decision") is not None and row["joules_per_decision"] <= 0:
        _warn("the board drew no more power under load than idle. Does the reading belong to this board?")


def _names(paths: Sequence[Path], known: Mapping[Path, str]) -> list[str]:
    """Known names, else file names without suffix; where two different files share one, the run's in front, or else their paths."""
    names = [known.get(path, path.stem) for path in paths]
    with_run = [f"{run_name(path)}/{name}" for path, name in zip(paths, names, strict=True)]
    for longer in (with_run, [path.with_suffix("").as_posix() for path in paths]):
        files: dict[str, set[Path]] = {}
        for path, name in zip(paths, names, strict=True):
            files.setdefault(name, set()).add(path.resolve())
        names = [long if len(files[name]) > 1 else name for name, long in zip(names, longer, strict=True)]
    return names
