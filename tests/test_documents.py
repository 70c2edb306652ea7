"""What the README and docs/ say is so: commands parse, examples run, links lead somewhere, files and options exist.

Figures are compared with results/ in test_results.py and test_explain_results.py.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import doctest
import importlib
import importlib.util
import inspect
import io
import re
import shutil
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import crack_tf
from crack_tf.cli import main as crack_tf_main
from crack_tf.verbs import VERBS
from studies import readme_table
from tests.crack_tf.survey.small_flight import exif
from tests.documents import DOCUMENTS, PAGES, README, ROOT, SHELL, Block, Command, anchors, blocks, commands, links
from tests.documents import prose as prose_of
from tests.documents import spans as spans_of

OURS = ("crack_tf", "tflite", "tuning", "studies", "tests")
FOLDERS = (*OURS, "docs", "notebooks", "results")
# Programs that pages use and that this project does not make; what they are given is theirs.
FOREIGN = {"alias", "cd", "echo", "export", "my-meter", "rpicam-vid", "sudo", "vcgencmd"}
SHELLS = sorted((b for d in DOCUMENTS for b in blocks(d) if b.language in SHELL), key=lambda block: block.name)
EXAMPLES = [b for d in DOCUMENTS for b in blocks(d) if b.language in ("python", "pycon")]
MOST_WORDS = 1200
MOST_WORDS_OF_A_DECISION = 150
# An option in a sentence stands without its value, a verb without its photographs.
INCOMPLETE = re.compile(r"expected (one|at least one) argument|following arguments are required|one of the arguments")


class ParsedError(BaseException):
    """The parser took the words; nothing was done. No Exception, so that no command line can catch it."""


@pytest.fixture
def only_parse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Command lines end where their own parser has taken all words. They stand in an empty folder."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        raise ParsedError(parse(self, args, namespace))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.chdir(tmp_path)


def entry_point(module: str) -> Any:
    """The `main` that `python -m module` calls."""
    found = importlib.util.find_spec(module)
    assert found, f"there is no module {module}"
    package = found.submodule_search_locations is not None
    return importlib.import_module(f"{module}.__main__" if package else module).main


def refusal(words: list[str], main: Any) -> str:
    """What a command line's own parser says against its words; "" where it takes them."""
    if not inspect.signature(main).parameters:  # a recipe: it has no options, and must not start here
        return f"takes no arguments, got {words}" if words else ""
    told = io.StringIO()
    try:
        with redirect_stderr(told), redirect_stdout(told):
            code = main(words)
    except ParsedError:
        return ""
    except SystemExit as end:
        code = end.code
    if code == 0 and {"-h", "--help", "--version"} & set(words):
        return ""
    return told.getvalue().strip() or f"did not parse its words, and ended with {code}"


def make_targets() -> set[str]:
    """The Makefile's targets; those that stand in a variable too."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^(\w+) := (.*)$", text, flags=re.MULTILINE))
    found = set()
    for line in re.findall(r"^([^\s#][^:=]*):(?!=)", text, flags=re.MULTILINE):
        named = re.sub(r"\$\((\w+)\)", lambda match: variables.get(match[1], ""), line)
        found |= {name for name in named.split() if re.fullmatch(r"[\w-]+", name)}
    return found


def pip_problem(words: tuple[str, ...]) -> str:
    """What is wrong with the arguments of `pip install`: files and extras of this project have to exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {
        *project["project"].get("optional-dependencies", ()),
        *project["tool"]["setuptools"].get("dynamic", {}).get("optional-dependencies", ()),
    }
    for word in words:
        if word.startswith("requirements") and not (ROOT / word).is_file():
            return f"there is no {word}"
        own = re.fullmatch(r"(?:\.|crack_tf|crack-tf)(?:\[([\w,-]+)\])?", word)
        if own and own[1] and not set(own[1].split(",")) <= extras:
            return f"there is no extra {own[1]}; there are {', '.join(sorted(extras))}"
    return ""


def problem(command: Command) -> str:
    """Why a command of a document would not be understood; "" where it would be."""
    program, *rest = command.words
    name = Path(program).name
    if name in FOREIGN:
        return ""
    if name == "make":
        missing = {word for word in rest if "=" not in word} - make_targets()
        return f"no such target: {', '.join(sorted(missing))}" if missing else ""
    if name in ("pip", "pip3"):
        return pip_problem(command.words)
    if name == "git":
        return ""
    if name == "crack-tf":
        return refusal_of(rest, crack_tf_main)
    if name in ("python", "python3") and rest[:1] == ["-m"]:
        module = rest[1]
        if module.partition(".")[0] in OURS:
            return refusal_of(rest[2:], entry_point(module))
        return "" if module == "pip" or importlib.util.find_spec(module) else f"there is no module {module}"
    return f"{program} is neither ours nor one of the programs that pages may use"


def refusal_of(words: list[str], main: Any) -> str:
    """As `refusal`; words after an ellipsis are the reader's."""
    if "..." not in words:
        return refusal(words, main)
    told = refusal([word for word in words if word != "..."], main)
    return "" if INCOMPLETE.search(told) else told


def test_pages_hold_commands_and_examples() -> None:
    assert len(SHELLS) >= 20
    assert sum(len(commands(block)) for block in SHELLS) >= 60
    assert len(EXAMPLES) >= 2


@pytest.mark.usefixtures("only_parse")
@pytest.mark.parametrize("block", SHELLS, ids=lambda block: block.name)
def test_commands_are_taken_by_the_real_parsers(block: Block) -> None:
    wrong = {str(command): told for command in commands(block) if (told := problem(command))}
    assert wrong == {}


@pytest.mark.usefixtures("only_parse")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("crack-tf predict pier.jpg", ""),
        ("crack-tf predikt pier.jpg", "unknown verb 'predikt'"),
        ("crack-tf predict pier.jpg --overlai", "unrecognized arguments: --overlai"),
        ("crack-tf predict pier.jpg --jobs many", "--jobs"),
        ("crack-tf data splot metu", "invalid choice"),
        ("make demos", "no such target: demos"),
        ("pip install -r requirements-none.txt", "there is no requirements-none.txt"),
        ("pip install '.[everything]'", "there is no extra everything"),
        ("python -m studies.real_scenes --fast", "takes no arguments"),
        ("python -m crack_tf.predict", "required"),
        ("cracktf predict", "neither ours"),
    ],
)
def test_a_wrong_command_is_found(text: str, told: str) -> None:
    block = Block(README, 1, "bash", text + "\n", "")
    (command,) = commands(block)
    assert told in problem(command)
    assert bool(told) == bool(problem(command))


def test_a_block_is_read_as_a_shell_reads_it() -> None:
    text = "Text\n```bash\nA=1 crack-tf zoo list | cat   # all\ncrack-tf predict a.jpg \\\n    --jobs 2 && make test\n```\n"
    (block,) = blocks(README, text)
    assert [command.words for command in commands(block)] == [
        ("crack-tf", "zoo", "list"),
        ("cat",),
        ("crack-tf", "predict", "a.jpg", "--jobs", "2"),
        ("make", "test"),
    ]
    assert [command.where for command in commands(block)] == ["README.md:3"] * 2 + ["README.md:4"] * 2


@pytest.mark.usefixtures("only_parse")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_in_sentences_exist(document: Path) -> None:
    wrong = {}
    for span in spans_of(document):
        words = span.split()
        if words[0] in VERBS and any(word.startswith("-") for word in words):
            words = ["crack-tf", *words]
        ours = words[0] in ("crack-tf", "make") or (words[:2] == ["python", "-m"] and words[2].startswith(OURS))
        if len(words) < 2 or not ours or words[1] == "VERB":
            continue
        told = problem(Command(document.name, tuple(words)))
        if told and not INCOMPLETE.search(told):
            wrong[span] = told
    assert wrong == {}


def test_options_in_sentences_exist() -> None:
    sources = [path for folder in OURS for path in (ROOT / folder).rglob("*.py") if path.parent != ROOT / "tests"]
    known = {
        option
        for path in sources
        for option in re.findall(r"[\"'](--[a-z][a-z0-9-]*)[\"']", path.read_text(encoding="utf-8"))
    }
    named = {
        (document.name, option)
        for document in DOCUMENTS
        for span in spans_of(document)
        if span.startswith("--")
        for option in re.findall(r"(?:^|\s)(--[a-z][a-z0-9-]*)", re.sub(r'"[^"]*"', "", span))
    }
    assert {pair for pair in named if pair[1] not in known} == set()
    assert len(named) > 20


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_files_of_the_repository_that_a_page_names_exist(document: Path) -> None:
    named = {span for span in spans_of(document) if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w*./-]+", span)}
    named |= {span for span in spans_of(document) if re.fullmatch(r"requirements[\w-]*\.txt", span)}
    for block in blocks(document):
        if block.language in SHELL:
            for command in commands(block):
                for before, word in zip(command.words, command.words[1:], strict=False):
                    if before != "--out" and re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w*./-]+", word):
                        named.add(word)
    assert {name for name in named if not any(ROOT.glob(name.rstrip("/")))} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    wrong = set()
    for link in links(document):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.add(link)
    assert wrong == set()


def test_every_page_is_reached_from_the_readme_and_the_sites_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = {Path(link.partition("#")[0]).name for link in links(README)}
    for page in PAGES:
        assert page.name in named, f"the README does not link to {page.name}"
        assert f": {page.name}\n" in contents, f"mkdocs.yml does not list {page.name}"


def test_the_readme_is_short_and_opens_with_an_example() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= MOST_WORDS
    for heading in ("Install", "Results", "Limits"):
        assert f"\n## {heading}\n" in text
    assert 'crack_tf.load().predict("pier.jpg")' in text
    typed = [shell for block in blocks(README) for command in commands(block) if (shell := " ".join(command.words))]
    assert {"make demo", "make test"} <= set(typed)
    assert re.search(r"!\[[^\]]+\]\(docs/[\w.-]+\.png\)", text)
    assert text.count("|---|---|---|") == 1  # results in one table


def test_a_decision_is_a_heading_and_a_few_sentences() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, *entries = re.split(r"^### ", section, flags=re.MULTILINE)
        assert len(title.splitlines()) <= 2, f"{title.splitlines()[0]}: text before its first entry"
        longest = max(entries, key=lambda entry: len(entry.split()))
        assert len(longest.split()) <= MOST_WORDS_OF_A_DECISION, longest.splitlines()[0]


def test_no_figure_of_the_readme_is_typed_by_hand() -> None:
    text = prose_of(README)
    text = text[: text.index(readme_table.BEGIN)] + text[text.index(readme_table.END) :]
    text = re.sub(r"\]\([^)]*\)|`[^`]*`", "", text)
    figures = re.findall(
        r"\d+(?:[.,]\d+)?\s*(?:%|ms|s|kB|MB|times|seconds|minutes|hours)\b|\b[01]\.\d{2,}|\d+/\d+|\d+\s*%", text
    )
    assert set(figures) <= {"95 %"}  # what an interval is


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: pier.jpg, and DCIM with two photographs as a drone's camera leaves them."""
    folder = tmp_path_factory.mktemp("reader")
    golden = ROOT / "crack_tf" / "zoo_models" / readme_table.default_name("classify") / "golden_crack.png"
    with Image.open(golden) as image:
        image.convert("RGB").save(folder / "pier.jpg", quality=95)
    (folder / "DCIM").mkdir()
    with Image.open(folder / "pier.jpg") as image:
        for number, name in enumerate(("a.jpg", "b.jpg")):
            about = exif(number)
            about.get_ifd(0x8769)[0xA405] = 24  # the focal length as on 35 mm film, in mm
            image.save(folder / "DCIM" / name, quality=95, exif=about)
    return folder


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.name)
def test_python_examples_run(block: Block, reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader)
    if ">>>" in block.text:
        example = doctest.DocTestParser().get_doctest(block.text, {}, block.name, block.name, block.line)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
        return
    tree = ast.parse(block.text, block.name)
    if block.not_run:
        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names: dict[str, Any] = {}
        exec(compile(tree, block.name, "exec"), names)
        for owner, name in re.findall(r"\b(crack_tf|tflite)\.(\w+)", block.text):
            assert owner not in names or hasattr(names[owner], name), f"{block.name}: there is no {owner}.{name}"
        return
    told = io.StringIO()
    with redirect_stdout(told):
        exec(compile(tree, block.name, "exec"), {"__name__": "example", "__builtins__": builtins})
    assert told.getvalue().count("\n") >= block.text.count("print("), told.getvalue()


def test_the_readmes_example_finds_the_crack_and_measures_it(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader)
    (block,) = (block for block in EXAMPLES if block.document == README)
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()):
        exec(compile(block.text, block.name, "exec"), names)
    assert names["photo"].crack
    assert max(crack.length_mm for crack in names["drawn"].cracks) > 5
    with Image.open("pier-overlay.png") as overlay:
        assert min(overlay.size) > 100


def test_the_readmes_commands_answer_about_photographs(
    reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(reader / "pier.jpg", tmp_path)
    shutil.copytree(reader / "DCIM", tmp_path / "DCIM")
    monkeypatch.chdir(tmp_path)
    ours = [
        command.words[1:]
        for block in SHELLS
        if block.document == README
        for command in commands(block)
        if command.words[0] == "crack-tf"
    ]
    assert [words[0] for words in ours] == ["predict", "photo", "survey"]
    for words in ours:
        code = crack_tf_main(list(words))
        told = capsys.readouterr()
        assert code == 0, told.err
        assert "crack" in told.out
    assert Path("drawn/pier.jpg/overlay.png").is_file()
    assert Path("found/report.html").is_file()


@pytest.mark.parametrize("name", [name for name in crack_tf.__all__ if not name.startswith("_")])
def test_examples_in_the_docstrings_of_public_names_run(
    name: str, reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader)
    item = getattr(crack_tf, name)
    assert item.__doc__, f"crack_tf.{name} has no docstring"
    module = importlib.import_module(item.__module__)
    for test in doctest.DocTestFinder(recurse=True).find(item, name, module):
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.parametrize("name", [name for name in crack_tf.__all__ if not name.startswith("_")])
def test_no_line_about_a_public_name_starts_with_of(name: str) -> None:
    item = getattr(crack_tf, name)
    texts = [inspect.getdoc(item)]
    if not inspect.ismodule(item):
        members = [member for key, member in inspect.getmembers(item) if not key.startswith("_")]
        texts += [inspect.getdoc(m) for m in members if inspect.isroutine(m) or isinstance(m, property)]
    lines = [line for text in texts for line in (text or "").splitlines()]
    assert [line for line in lines if re.match(r"\s*(?:\w[\w, ]*: )?of ", line)] == []
