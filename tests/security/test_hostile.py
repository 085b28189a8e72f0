"""The table of hostile content is true: each defence is there, and each test that is named.

That the tests fail without it is looked at by ``tests/campaigns/test_defences.py``, which takes out
the ``line`` of each row of ``hostile.yaml`` in a copy. By hand: put ``without`` in its place.
"""

from __future__ import annotations

import re

import pytest
from named import missing
from security.rows import BEGIN, END, PAGE, ROOT, Row, as_table, rows

ROWS = rows()

# Advisories of Argo CD, Flux, Velero, CSI, Kubernetes, kustomize, GitPython, git, PyYAML, Jinja2
# and borg: what went wrong in tools of this kind.
LESSONS = (ROOT / "tests" / "security" / "lessons.txt").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_defence_is_there_once(row: Row) -> None:
    assert row.path.read_text(encoding="utf-8").count(row.line) == 1
    assert row.line != row.without
    assert row.tests


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_it_the_file_is_still_python(row: Row) -> None:
    compile(row.take_out(row.path.read_text(encoding="utf-8")), row.file, "exec")


def test_the_tests_are_there(pytestconfig: pytest.Config) -> None:
    assert missing({test for row in ROWS for test in row.tests}, pytestconfig) == []


def test_the_page_has_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == as_table(), "run tests/security/rows.py"


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_is_a_row_or_said_not_to_apply(lesson: str) -> None:
    """And no more than one of the two."""
    page = PAGE.read_text(encoding="utf-8")
    elsewhere = page.split("## What others learned, and is not in the table")[1]
    rest = elsewhere.split("\n## ")[0]
    in_table = any(lesson in row.lessons for row in ROWS)
    in_rest = bool(re.search(rf"{re.escape(lesson)}\b", rest))
    assert in_table != in_rest


def test_no_row_names_a_lesson_that_nobody_knows() -> None:
    assert {lesson for row in ROWS for lesson in row.lessons} <= set(LESSONS)
