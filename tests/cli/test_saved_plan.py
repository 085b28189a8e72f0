"""A saved plan on the command line: what cannot be read, or contradicts a flag, is refused."""

from pathlib import Path

import pytest
from command import gitops_dr


@pytest.mark.parametrize(
    ("content", "flags", "problem"),
    [
        (None, [], "No such file"),
        (b"\xff", [], "not UTF-8"),
        (b"{}", [], "no saved plan: format: Field required"),
        (b"plan", [], "no saved plan"),
        (b"{}", ["--at", "v7"], "the plan says itself"),
        (b"{}", ["-n", "shop"], "the plan says itself"),
        (b"{}", ["--accept-empty-volumes"], "the plan says itself"),
    ],
)
def test_what_is_no_plan(
    tmp_path: Path, content: bytes | None, flags: list[str], problem: str
) -> None:
    file = tmp_path / "plan.json"
    if content is not None:
        file.write_bytes(content)
    said = gitops_dr("rebuild", "--yes", "--plan", str(file), *flags, cwd=tmp_path)
    assert said.code == 2
    assert problem in said.err
    assert str(file) in said.err
