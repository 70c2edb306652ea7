"""The rules of the house: verbs parse and print, what lies below them takes configurations; imports run one way.

Where a rule is not reached yet, its exceptions are listed. A list only ever gets shorter.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from crack_tf.verbs import VERBS

ROOT = Path(__file__).parent.parent
PACKAGES = ("crack_tf", "tuning", "tflite")
# Parsers' helpers, and sub-verbs with a module of their own.
PARSING = {"tflite.cli", "crack_tf.data.flight", "crack_tf.data.label_verbs"}
# From the ground up. A room imports only rooms that stand before it; docs/layout.md shows them in this order.
ROOMS = (
    "tflite", "common", "models", "photo", "synthetic", "inference", "data", "survey", "evaluation", "training",
    "quantisation", "zoo", "deploy", "tuning", "reporting", "explain", "adaptation",
)  # fmt: skip
# Own modules imported in functions, by the module that does it: each brings a heavy package that is not always there or wanted.
LAZY: dict[str, set[str]] = {
    # OpenCV, an extra, which no other data set takes.
    "crack_tf.data.registry": {"crack_tf.data.joint_tiles"},
    # Dask, an extra; and what a cluster's scheduler, which never searches, need not have.
    "crack_tf.survey.searching.cluster": {"crack_tf.survey.searching.cluster_worker"},
    "crack_tf.survey.searching.cluster_worker": {"crack_tf.survey.searching.search"},
    # Pillow, which would count in the measured memory of a model that decodes no picture.
    "tflite.masks": {"tflite.images", "tflite.tiff"},
    "tflite.measure": {"tflite.images"},
    # Keras, whose backend is chosen first.
    "tuning.driver": {"crack_tf.training.tasks", "tuning.search"},
    "tuning.finalists": {"crack_tf.training.loop"},
    "tuning.trial": {"crack_tf.training.loop"},
}

# Dataclasses that are filled bit by bit and stay in their room.
GROWING = {
    "crack_tf.photo.skeleton.Branch", "crack_tf.photo.skeleton.SkeletonGraph", "crack_tf.survey.pipeline.Run",
    "crack_tf.survey.geometry.walls._Group", "crack_tf.synthetic.joints._Relief", "tflite.device.live._Arrival",
    "tflite.device.journal._Reading", "tflite.device.loop.Tally", "tflite.device.loop.Unplaced", "tflite.jpeg._Frame",
    "tflite.place.logcontent.LogContent",
}  # fmt: skip
# Functions that other rooms import and that take or give a dictionary of anything: what stands in a file, or goes into one, as it is.
FILE_CONTENT = {
    "crack_tf.common.provenance.environment", "crack_tf.reporting.annotations.to_coco",
    "crack_tf.synthetic.flight.write_flight", "crack_tf.photo.crack.range_row", "crack_tf.photo.measure.write_cracks",
    "crack_tf.training.runs.flatten", "tflite.device.bundle.sealed", "tflite.files.csv_rows", "tflite.files.read_json",
    "tflite.files.stream_csv", "tflite.files.write_csv", "tflite.hardware.board", "tflite.hardware.describe",
    "tflite.lines.seal_line", "tflite.outputs.read_mark", "tflite.sameness.changed", "tflite.sameness.refuse_changed",
}  # fmt: skip
# Fields of the same: what stands in a file as it is, or what a model's builder takes.
OPEN_FIELDS = {
    "Explanation.facts", "Explained.measured",
    "_Line.record",
    "ZooModel.trained_on",
    "_Settings.settings", "Survey.models", "Survey.settings", "_Layer.rows",
    "TrainConfig.hyperparameters", "ThroughputConfig.hyperparameters", "Verdict.metrics",
    "Outcome.values", "Question.held", "Question.experiments", "Run.change", "Study.rows", "Study.table",
    "Bundle.record", "Job.reference", "JournalContent.settings", "_StartLine.settings",
    "Sidecar.hyperparameters", "Sidecar.training", "Sidecar.metrics", "Sidecar.versions",
}  # fmt: skip
MOST_ARGUMENTS = 8  # but for the builders of models, whose settings have defaults of their own


@dataclass(frozen=True)
class Import:
    """One import of one of the project's own modules.

    Attributes:
        source: importing module.
        target: imported module.
        place: "top" of the module, in a "function", or for type "checkers" alone.
    """

    source: str
    target: str
    place: str


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the packages by its dotted name, parsed; a package's is its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def is_package(name: str) -> bool:
    return (ROOT / Path(*name.split(".")) / "__init__.py").is_file()


def nodes(tree: ast.AST, place: str = "top") -> Iterator[tuple[ast.AST, str]]:
    """All nodes, each with its `Import.place`."""
    for node in ast.iter_child_nodes(tree):
        inside = place
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            inside = "checkers"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = "function"
        yield node, place
        yield from nodes(node, inside)


@cache
def imports() -> tuple[Import, ...]:
    found = set()
    for source, tree in modules().items():
        for node, place in nodes(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{source}: imports by full name only"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                while name and name not in modules():
                    name = name.rpartition(".")[0]
                if name and name != source:
                    found.add(Import(source, name, place))
    return tuple(sorted(found, key=lambda one: (one.source, one.target, one.place)))


def rings() -> list[set[str]]:
    """Sets of modules each of which imports, by way of others, all the others (Tarjan's strongly connected components).

    What type checkers alone import counts too, but for a package that tells them of the names that arrive lazily.
    """
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        if one.place != "checkers" or not is_package(one.source):
            edges[one.source].add(one.target)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            ring = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(ring) > 1:
                found.append(ring)

    for name in edges:
        if name not in index:
            visit(name)
    return found


def has_main(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "main" and any(arg.arg == "argv" for arg in node.args.args)
        for node in tree.body
    )


@cache
def verbs() -> frozenset[str]:
    """Modules that are run from a command line."""
    runnable = {name for name, tree in modules().items() if has_main(tree) or name.endswith(".__main__")}
    return frozenset(runnable | {verb.module for verb in VERBS.values()})


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def runs(tree: ast.Module) -> set[str]:
    """Names of the functions that a parser's sub-commands name as theirs: `set_defaults(run=NAME)`."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    keywords = [word for call in calls if ast.unparse(call.func).endswith(".set_defaults") for word in call.keywords]
    return {word.value.id for word in keywords if isinstance(word.value, ast.Name)}


def test_every_verb_of_the_table_is_known_as_one() -> None:
    assert {verb.module for verb in VERBS.values()} <= verbs()
    assert {"tflite.benchmark", "tflite.device.__main__", "crack_tf.suite"} <= verbs()


def test_argparse_is_for_verbs() -> None:
    parse = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(alias.name == "argparse" for alias in node.names)
    }
    assert parse - verbs() - PARSING == set()


def test_a_number_of_an_option_is_read_by_a_type_that_says_how_to_write_it() -> None:
    bare = [
        f"{name}: {ast.unparse(node.args[0])}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]).startswith("'--")
        for word in node.keywords
        if word.arg == "type" and ast.unparse(word.value) in ("int", "float")
    ]
    assert bare == []


def test_a_plot_says_in_its_file_that_it_was_drawn() -> None:
    bare = [
        f"{name}: {ast.unparse(node)}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".savefig")
        if not any(word.arg == "metadata" and ast.unparse(word.value) == "METADATA" for word in node.keywords)
    ]
    assert bare == []


def test_options_go_no_further_than_a_verbs_run() -> None:
    taken = set()
    for name, tree in modules().items():
        allowed = {"run", "_run", *runs(tree)} if name in verbs() | PARSING else set()
        for function in functions(tree):
            # What turns them into a configuration is a verb's too.
            made = name in verbs() and function.returns is not None and ast.unparse(function.returns).endswith("Config")
            for parameter in parameters(function):
                if parameter.annotation is not None and "Namespace" in ast.unparse(parameter.annotation):
                    taken |= {f"{name}.{function.name}"} if function.name not in allowed and not made else set()
    assert taken == set()


def test_command_lines_go_no_further_than_a_verbs_main() -> None:
    taken = {
        f"{name}.{function.name}"
        for name, tree in modules().items()
        for function in functions(tree)
        for parameter in parameters(function)
        if parameter.arg == "argv" and function.name != "main"
    }
    assert taken == set()


@pytest.mark.parametrize(
    "name", sorted({verb.module for verb in VERBS.values()} | {"crack_tf.suite", "tflite.benchmark"})
)
def test_a_verb_is_short_below_its_parser(name: str) -> None:
    """What it does stands in a room."""
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    parsers = [one for one in functions(modules()[name]) if one.name in ("make_parser", "_parser", "add_arguments")]
    end = max((one.end_lineno or 0 for one in parsers), default=0)
    assert len(path.read_text(encoding="utf-8").splitlines()) - end <= 120


def test_no_folder_imports_a_verb() -> None:
    upward = {
        (one.source, one.target)
        for one in imports()
        if one.place != "checkers" and one.target in verbs() and one.source not in verbs()
    }
    assert upward == set()


def floor(name: str) -> str | None:
    """The folder a module stands in; None for what stands at the top: verbs, and the package's own face."""
    package, _, rest = name.partition(".")
    if package != "crack_tf":
        return package
    folder = rest.partition(".")[0]
    return folder if folder and is_package(f"crack_tf.{folder}") else None


def test_rooms_import_those_below_them_alone() -> None:
    """Verbs may take from everywhere, those that stand in a room too."""
    assert {floor(name) for name in modules()} - {None} == set(ROOMS)
    upward = {
        (one.source, one.target)
        for one in imports()
        if one.source not in verbs() | PARSING
        and (here := floor(one.source)) is not None
        and ((there := floor(one.target)) is None or ROOMS.index(there) > ROOMS.index(here))
    }
    assert upward == set()
    page = (ROOT / "docs" / "layout.md").read_text(encoding="utf-8")
    assert [name for name in re.findall(r"^ *(\w+)/ ", page, flags=re.MULTILINE) if name in ROOMS] == list(ROOMS)


def test_imports_have_no_ring() -> None:
    assert rings() == []


def test_own_modules_are_imported_at_the_top() -> None:
    """But for verbs, which answer --help at once, and packages whose names arrive lazily."""
    lazy = {
        (one.source, one.target)
        for one in imports()
        if one.place == "function" and one.source not in verbs() | PARSING and not is_package(one.source)
    }
    assert lazy == {(source, target) for source, targets in LAZY.items() for target in targets}


def test_a_dataclass_that_travels_is_frozen() -> None:
    growing = {
        f"{name}.{node.name}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for made in map(ast.unparse, node.decorator_list)
        if made.startswith("dataclass") and "frozen=True" not in made
    }
    assert growing == GROWING


def test_no_docstring_begins_with_of() -> None:
    made = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = {
        f"{name}: {text}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, made) and (text := ast.get_docstring(node)) and text.lower().startswith("of ")
    }
    assert texts == set()


def room(name: str) -> str:
    """The folder of crack_tf, or of tflite, or the package, that a module stands in; of a module beside the folders its own name."""
    package, *inside = name.split(".")
    return (
        f"{package}.{inside[0]}"
        if inside and (package == "crack_tf" or is_package(f"{package}.{inside[0]}"))
        else package
    )


ANYTHING = re.compile(r"(dict|Mapping)\[\w+, Any\]")


def test_rooms_hand_each_other_no_dictionary_of_anything() -> None:
    """But for what stands in a file as it is."""
    said = {
        f"{name}.{one.name}": " ".join(
            ast.unparse(part) for part in (one.returns, *(a.annotation for a in parameters(one))) if part
        )
        for name, tree in modules().items()
        for one in tree.body
        if isinstance(one, ast.FunctionDef)
    }
    taken = set()
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and room(node.module) != room(name):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                taken |= {one for one in names if ANYTHING.search(said.get(one, ""))}
    assert taken - {f"{verb}.{one.name}" for verb in verbs() for one in functions(modules()[verb])} == FILE_CONTENT


def test_no_other_field_holds_a_dictionary_of_anything() -> None:
    held = {
        f"{node.name}.{ast.unparse(one.target)}"
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for one in node.body
        if isinstance(one, ast.AnnAssign) and ANYTHING.search(ast.unparse(one.annotation))
    }
    assert held == OPEN_FIELDS


def test_what_always_travels_together_is_one_argument() -> None:
    many = {
        f"{name}.{one.name}"
        for name, tree in modules().items()
        if room(name) != "crack_tf.models"
        for one in functions(tree)
        if len(parameters(one)) > MOST_ARGUMENTS
    }
    assert many == set()


def test_importing_the_package_and_making_configurations_loads_nothing_heavy() -> None:
    code = (
        "import sys, crack_tf\n"
        "heavy = ('tensorflow', 'keras', 'cv2', 'matplotlib', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "crack_tf.TrainConfig(), crack_tf.ExportConfig(), crack_tf.train, crack_tf.export, crack_tf.survey\n"
        "import crack_tf.quantisation.export\n"  # chooses Keras's backend, so Keras must not be there yet
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n['numpy']\n"
