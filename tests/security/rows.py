"""The table of hostile content: read from ``hostile.yaml``, and written into docs/security.md."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- hostile content: begin -->\n", "<!-- hostile content: end -->\n"


@dataclass(frozen=True)
class Row:
    """One thing that somebody may try, and what stops it."""

    name: str
    attack: str
    file: str
    """Below ``gitops_dr/``."""
    line: str
    """The defence, as it stands in the file once."""
    without: str
    """What stands there when it is taken out."""
    tests: tuple[str, ...]
    lessons: tuple[str, ...] = ()
    """Past vulnerabilities of other tools that it is the answer to."""

    @property
    def path(self) -> Path:
        return ROOT / "gitops_dr" / self.file

    def take_out(self, text: str) -> str:
        return text.replace(self.line, self.without)


def rows() -> list[Row]:
    text = (Path(__file__).parent / "hostile.yaml").read_text(encoding="utf-8")
    return [
        Row(name, **{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()})
        for name, row in yaml.safe_load(text).items()
    ]


def as_table() -> str:
    lines = ["| attack | defence | lesson of | tests |", "|---|---|---|---|"]
    for row in rows():
        tests = "<br>".join(f"`{test}`" for test in row.tests).replace("|", r"\|")
        attack = row.attack[0].upper() + row.attack[1:]
        lessons = ", ".join(row.lessons)
        lines.append(f"| {attack} | `{row.file}` | {lessons} | {tests} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: BEGIN + as_table() + END, text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
