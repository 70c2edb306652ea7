"""What the README and the pages of docs/ tell a reader to type: commands, Python, links, names of files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [README, *PAGES]
SHELL = ("bash", "sh", "console")
BETWEEN = {"&&", "||", "|", ";", "&"}  # of one command and the next in a line
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
# What a column's name ends with, and its unit.
UNITS = {"px": "px", "mm": "mm", "m": "m", "mm2": "mm²", "deg": "degrees"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        document: the file.
        line: number of its first line of text, from 1.
        language: the word after the fence, or "".
        text: what stands between the fences, without the indentation of the fence.
        not_run: the reason in a comment `<!-- not run: REASON -->` on the line before, or "".
    """

    document: Path
    line: int
    language: str
    text: str
    not_run: str

    @property
    def name(self) -> str:
        """For messages: file and line."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a shell block, its variables in front taken away.

    Attributes:
        where: file and line.
        words: as a shell would hand them over, with nothing expanded.
    """

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def blocks(document: Path, text: str | None = None) -> list[Block]:
    """Every fenced block.

    Args:
        document: a Markdown file.
        text: its text; None reads it.

    Raises:
        ValueError: if a fence is not closed.
    """
    lines = (document.read_text(encoding="utf-8") if text is None else text).splitlines()
    found, number = [], 0
    while number < len(lines):
        opening = re.match(r"( *)(`{3,})\s*([\w-]*)", lines[number])
        if not opening:
            number += 1
            continue
        indent, fence, language = opening.groups()
        try:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == fence)
        except StopIteration:
            raise ValueError(f"{document}:{number + 1}: this fence is not closed.") from None
        reason = _NOT_RUN.fullmatch(lines[number - 1].strip()) if number else None
        body = "\n".join(line.removeprefix(indent) for line in lines[number + 1 : end]) + "\n"
        found.append(Block(document, number + 2, language, body, reason[1] if reason else ""))
        number = end + 1
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a shell block: continued lines are one, a pipe's parts and those around && are several."""
    found: list[Command] = []
    for offset, line in _logical_lines(block.text):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if token not in BETWEEN:
                words.append(token)
                continue
            while words and _ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                found.append(Command(f"{block.document.relative_to(ROOT)}:{block.line + offset}", tuple(words)))
            words = []
    return found


def command_lines(block: Block) -> list[tuple[str, str]]:
    """(file and line, text) of each line of a shell block that has a command: continued lines are one, without their comments."""
    found = []
    for offset, line in _logical_lines(block.text):
        text = re.sub(r"(^|\s)#.*", "", line)
        if text.strip():
            found.append((f"{block.document.relative_to(ROOT)}:{block.line + offset}", " ".join(text.split())))
    return found


def columns_explained(text: str) -> dict[str, str]:
    """Columns of a table of columns, `| names | unit | meaning |`, in order, each with its unit.

    A row names several where they are explained together: then its unit is that of all, or each has its own in the same order.

    Args:
        text: part of a page, with one such table or several.
    """
    units: dict[str, str] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| `") or len(cells) != 3:
            continue
        names, own = re.findall(r"`([^`]+)`", cells[0]), cells[1].split(", ")
        if len(own) not in (1, len(names)):
            raise ValueError(f"{len(names)} columns and {len(own)} units: {line}")
        units |= dict(zip(names, own * len(names) if len(own) == 1 else own, strict=True))
    return units


def section(page: str, heading: str = "") -> str:
    """The text of a page of docs/ below one of its headings `## heading`; "" for that before the first."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = {part.split("\n", 1)[0]: part for part in text.split("\n## ")}
    return parts[heading] if heading else text.split("\n## ")[0]


def wrong_units(units: Mapping[str, str]) -> list[str]:
    """Columns whose explained unit is not the one that their name ends with."""
    ends = {name: UNITS.get(name.rpartition("_")[2]) for name in units if not name.startswith("limit_")}
    wrong = [
        name
        for name, unit in ends.items()
        if unit is not None and units[name].split(" per ")[0] not in (unit, f"{unit}²")
    ]
    return wrong + (["mm_per_pixel"] if units.get("mm_per_pixel", "mm") != "mm" else [])


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number of its first line from 0, line), with lines that end in a backslash joined to the next."""
    joined: list[tuple[int, str]] = []
    start, kept = 0, ""
    for number, line in enumerate(text.splitlines()):
        if not kept:
            start = number
        if line.endswith("\\"):
            kept += line[:-1] + " "
            continue
        joined.append((start, kept + line))
        kept = ""
    return joined


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    lines = document.read_text(encoding="utf-8").splitlines()
    for block in blocks(document):
        for number in range(block.line - 2, block.line + block.text.count("\n")):
            lines[number] = ""
    return "\n".join(lines)


def spans(document: Path) -> list[str]:
    """What stands in backticks, outside of fenced blocks; line breaks in it are spaces."""
    return [" ".join(text.split()) for text in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(document))]


def links(document: Path) -> list[str]:
    """The targets of links and pictures."""
    text = re.sub(r"(?<!`)`[^`]+`(?!`)", "", prose(document))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(document: Path) -> set[str]:
    """What a link to a heading may be called: where sites of repositories and the documentation site agree on it."""
    headings = re.findall(r"^#{1,6} (.+?)\s*$", prose(document), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower() for heading in headings]
    return {re.sub(r"\s", "-", text) for text in plain} & {re.sub(r"[-\s]+", "-", text) for text in plain}
