"""Keeps the parts of the documentation that repeat the code: help texts, rules and policies.

`make docs` runs it. Reads the commands and the rules of the package and the pages below docs/;
writes those pages of them that are not current. ``tests/test_docs.py`` fails while any is not.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import yamlrocks

from gitops_dr.checks.needs import Job
from gitops_dr.checks.of_classes import backends
from gitops_dr.checks.of_plan import PLAN_ROWS
from gitops_dr.checks.rows import ROWS
from gitops_dr.desired.target_file import schema_text
from gitops_dr.resources import shipped
from gitops_dr.rules.rows import Hold, Omit, Row, completion_rows, object_rows, relation_rows
from gitops_dr.secrets import policy as secret_policy

if TYPE_CHECKING:
    from typer.core import TyperGroup

DOCS = Path(__file__).parent.parent / "docs"
COMMANDS = DOCS / "commands.md"
RULES = DOCS / "rules.md"
OUTWARD = DOCS / "outward.md"
POLICIES = DOCS / "secrets-policies.md"
CHECKS = DOCS / "checks.md"
TARGETS = shipped("desired") / "target.schema.json"

PROGRAM = "gitops-dr"
_HELP = re.compile(r"(<!-- help: (?P<command>[a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_CHECKS = re.compile(
    r"(<!-- (?P<what>checks of a plan|checks of doctor|versions|backends) -->\n).*?(<!-- end -->)",
    re.DOTALL,
)
_OUTWARD = re.compile(r"(<!-- outward -->\n).*?(<!-- end -->)", re.DOTALL)
_POLICIES = re.compile(r"(<!-- policies -->\n).*?(<!-- end -->)", re.DOTALL)
_FEW = 8
"""Values of a condition that are written out; of more there is only their number."""


def pages() -> dict[Path, str]:
    """The generated pages, each with the text that it should have."""
    text = COMMANDS.read_text(encoding="utf-8")
    return {
        COMMANDS: _HELP.sub(_with_help, text),
        RULES: "\n".join(_rules_page()) + "\n",
        OUTWARD: _OUTWARD.sub(_with_outward, OUTWARD.read_text(encoding="utf-8")),
        POLICIES: _POLICIES.sub(_with_policies, POLICIES.read_text(encoding="utf-8")),
        CHECKS: _CHECKS.sub(_with_checks, CHECKS.read_text(encoding="utf-8")),
        TARGETS: schema_text(),
    }


def _with_help(block: re.Match[str]) -> str:
    return f"{block[1]}```text\n{help_text(block['command'])}```\n{block[3]}"


# -- commands ----------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Every command line without its arguments, such as ``gitops-dr lab up``, and its command."""
    import typer

    from gitops_dr.cli import app

    group: TyperGroup = typer.main.get_command(app)  # type: ignore[assignment]
    return dict(_walk(PROGRAM, group))


def _walk(line: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield line, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{line} {name}", inner)


def help_text(line: str) -> str:
    """What ``LINE --help`` prints on a terminal of 100 columns, without colours."""
    from gitops_dr.cli import app

    arguments = [*line.split()[1:], "--help"]
    said = io.StringIO()
    with patch.dict(os.environ, COLUMNS="100", NO_COLOR="1", TERM="dumb"), redirect_stdout(said):
        app(arguments, prog_name=PROGRAM, standalone_mode=False)
    return said.getvalue()


# -- rules -------------------------------------------------------------------------------------

_ABOUT_RULES = """\
<!-- Written by scripts/docs.py from gitops_dr/rules/; change those files and run `make docs`. -->

# Rules: what of a cluster belongs in Git

A running object holds more than what somebody wants: what the API server counts, what controllers
observed, what was allocated in this cluster and is taken in the next. These rules say what is left
out, each with its reason and a link. They are data: the files in
[`gitops_dr/rules/`](../gitops_dr/rules/objects.yaml), whose heads explain the columns and from
which this page is made. [CONTRIBUTING.md](../CONTRIBUTING.md#adding-a-rule) tells how to add one.

Nothing is left out silently. Every rule that leaves objects out is named in
`recovery/coverage.yaml` of each recovery point for each kind that the cluster serves, whether or
not there is such an object just now, so that an unchanged cluster gives an unchanged file. Where a
rule leaves out *by name*, each object is named as well. There is one more entry, which is no row
here: `read-only` stands for kinds whose API lets nobody create an object.

If several rules leave an object out, the first one counts. What a rule does not name stays as it
is, defaults included: an empty map or list can mean something (`emptyDir: {}`, `egress: [{}]`).
"""


def _rules_page() -> Iterator[str]:
    rows = object_rows()
    yield _ABOUT_RULES
    yield from _section(
        "Kinds that are not listed",
        "No object of these kinds is read.",
        ("rule", "kinds", "why"),
        ((_id(row), _kinds(row), _why(row)) for row in rows if row.omit is Omit.KIND),
    )
    yield from _section(
        "Objects that are left out, rule by rule",
        "They come and go by themselves, so `coverage.yaml` names the rule and not the object.",
        ("rule", "kinds", "left out if", "why"),
        (
            (_id(row), _kinds(row), _condition(row), _why(row))
            for row in rows
            if row.omit is Omit.QUIETLY
        ),
    )
    yield from _section(
        "Objects that are left out by name",
        "`coverage.yaml` names each of them.",
        ("rule", "kinds", "left out if", "why"),
        (
            (_id(row), _kinds(row), _condition(row), _why(row))
            for row in rows
            if row.omit is Omit.BY_NAME
        ),
    )
    yield from _section(
        "Fields that are taken out",
        "The object is in Git without them.",
        ("rule", "kinds", "taken out", "why"),
        ((_id(row), _kinds(row), _deed(row), _why(row)) for row in rows if row.omit is None),
    )
    yield from _section(
        "Relations",
        "Decided by what other objects say.",
        ("rule", "about", "what it does", "why"),
        (
            (
                f"`{row.id}`",
                row.relation.replace("-", " "),
                f"takes out {_listed(row.drop)}" if row.drop else _leaves_out(row.except_kinds),
                _cell(row.because, row.link),
            )
            for row in relation_rows()
        ),
    )
    yield from _section(
        "What a rebuild brings back held",
        "Objects of these kinds run to an end. Those that had finished are not in Git, by the rule "
        "of the same name above. The others come back so that nothing runs twice: held until a "
        "person changes the field back or, where nothing holds them, not at all.",
        ("rule", "kinds", "held by"),
        ((f"`{row.id}`", _listed(row.kinds), _hold(row.hold)) for row in completion_rows()),
    )
    yield from _section(
        "What a rebuild leaves to the platform",
        "A distribution or a provider owns it: it is in Git and compared with its own cluster, but "
        "never put into another one, unless `--ref` or `--namespace` names it. With a namespace go "
        "the objects in it and the Namespace itself.",
        ("rule", "kinds", "which", "why"),
        (
            (
                f"`{row['id']}`",
                _listed(row["kinds"]) if "kinds" in row else "every kind",
                _which(row),
                _cell(row["because"], row["link"]),
            )
            for row in yamlrocks.loads(shipped("rules/platform.yaml").read_bytes())
        ),
        last=True,
    )


def _hold(hold: Hold | None) -> str:
    if hold is None:
        return "nothing: it is not brought back, and a gap"
    value = json.dumps(hold.value) if isinstance(hold.value, list) else hold.value
    what = f"{_code(hold.path)} is set to {_code(value)}"
    return f"{what}, if {_conditions(hold.when)}" if hold.when else what


def _which(row: Mapping[str, Any]) -> str:
    """What a platform row asks of an object beside its kind."""
    parts = {
        "in {}": row.get("namespaces"),
        "named {}": row.get("names"),
        "but not {}": [*row.get("except_kinds", ()), *row.get("except_names", ())],
    }
    return "; ".join(text.format(_listed(found)) for text, found in parts.items() if found) or "all"


def _section(
    title: str,
    about: str,
    head: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    *,
    last: bool = False,
) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{about}\n"
    yield from _head(*head)
    for row in rows:
        yield _line(*row)
    if not last:
        yield ""


def _id(row: Row) -> str:
    return f"`{row.id}`"


def _kinds(row: Row) -> str:
    return "every kind" if row.kinds == ("*",) else _listed(row.kinds)


def _why(row: Row) -> str:
    return _cell(row.because, row.link)


def _cell(because: str, link: str) -> str:
    return f"{because.replace('|', '&#124;')} [More]({link})"


def _leaves_out(except_kinds: tuple[str, ...]) -> str:
    return f"leaves the object out, unless it is a {_listed(except_kinds)}"


def _condition(row: Row) -> str:
    return _conditions(row.when)


def _conditions(when: Iterable[Mapping[str, Any]]) -> str:
    return "; and ".join(map(_one_condition, when)) or "always"


def _one_condition(spec: Mapping[str, Any]) -> str:
    match dict(spec):
        case {"path": path, **test}:
            return f"{_code(path)} {_test(test)}"
        case {"true_condition": types}:
            return f"one of the conditions {_listed(types)} is true"
        case {"condition": name, "status": statuses}:
            return f"the condition {_code(name)} is {_listed(statuses, 'or')}"
        case {"managers": names}:
            return f"nobody but {_listed(names)} has written to it"
        case {"controlled_by": kind}:
            return f"its controller is a {_code(kind)}"
        case {"unowned": path}:
            return f"no field manager set {_code(path)}"
        case other:
            return _verbatim(other)


def _test(test: Mapping[str, Any]) -> str:
    """What a condition says of the value at its path."""
    match dict(test):
        case {"exists": exists}:
            return "is there" if exists else "is not there"
        case {"equals": value}:
            return f"is {_code(value)}"
        case {"differs": value}:
            return f"is not {_code(value)}"
        case {"any_of": values} if len(values) > _FEW:
            return f"is one of {len(values)} names that stand in the rule"
        case {"any_of": values}:
            return f"is {_listed(values, 'or')}"
        case {"matches": pattern}:
            return f"matches {_code(pattern)}"
        case {"only": pattern, **rest}:
            which = f"the {_code(rest['key'])} of each item" if "key" in rest else "each item"
            return f"is not there, or {which} matches {_code(pattern)}"
        case other:
            return _verbatim(other)


def _verbatim(spec: Mapping[str, Any]) -> str:
    """A condition that this page has no words for yet."""
    return "; ".join(f"{key}: {_code(value)}" for key, value in spec.items())


def _deed(row: Row) -> str:
    if row.drop_items:
        which = f"whose {_code(row.drop_items.key)} matches" if row.drop_items.key else "that match"
        what = f"items of {_code(row.drop_items.path)} {which} {_code(row.drop_items.matches)}"
    elif row.drop_unowned:
        what = f"{_code(row.drop_unowned.path)}, if no field manager set it"
    elif row.put:
        what = _settings(row.put)
    else:
        what = _listed(row.drop)
    return f"{what}, if {_condition(row)}" if row.when else what


def _settings(values: Mapping[str, Any]) -> str:
    return " and ".join(f"{_code(path)} is set to {_code(value)}" for path, value in values.items())


def _listed(values: Iterable[Any], word: str = "") -> str:
    *first, last = map(_code, values)
    return f"{', '.join(first)} {word} {last}" if first and word else ", ".join([*first, last])


def _code(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text.replace('|', '\\|')}`"


# -- policies of Secrets ------------------------------------------------------------------------


def _with_outward(block: re.Match[str]) -> str:
    rows = yamlrocks.loads(shipped("desired/outward.yaml").read_bytes())
    lines = [*_head("what", "held by", "because"), *map(_outward, rows)]
    return f"{block[1]}{''.join(f'{line}\n' for line in lines)}{block[2]}"


def _outward(row: Mapping[str, Any]) -> str:
    labels = [f"`{key}={value}`" for key, value in row.get("labels", {}).items()]
    image = f"of image {_listed(row['images'], 'or')}" if "images" in row else ""
    about = " or ".join(filter(None, [f"with {', '.join(labels)}" if labels else "", image]))
    when = f"if {_conditions(row['when'])}" if "when" in row else ""
    of = f"of which `{row['of']['path']}` is held" if "of" in row else ""
    what = " ".join(filter(None, [_listed(row["kinds"]), about, when, of]))
    deed = f"{_code(row['path'])} is set to {_code(row['value'])}" if "path" in row else ""
    how = "it is not made yet" if row.get("omit") else deed or "nothing: what works on it is"
    return _line(what, how, _cell(row["because"], row["link"]))


def _with_policies(block: re.Match[str]) -> str:
    lines = [*_head("policy", "Secrets", "what becomes of them", "why")]
    for row in secret_policy.rows():
        which, deed = _secrets_of(row), _policy(row)
        lines.append(_line(f"`{row.id}`", which, deed, _cell(row.because, row.link)))
    return "\n".join([block[1].rstrip("\n"), *lines, block[2]])


def _secrets_of(row: secret_policy.Row) -> str:
    parts = [
        f"{what} {_listed(found, 'or')}"
        for what, found in (
            ("of type", row.types),
            ("in", row.namespaces),
            ("named", row.names),
            ("owned by a", row.owners),
        )
        if found
    ]
    for what, wanted in (("label", row.labels), ("annotation", row.annotations)):
        parts += [
            f"with the {what} {_code(key)}" + ("" if value == "*" else f" {_code(value)}")
            for key, value in wanted.items()
        ]
    return ", ".join(parts) or "all others"


def _policy(row: secret_policy.Row) -> str:
    words = [f"`{row.policy.value}`"]
    words += ["always"] * row.always + ["in Git without values"] * row.exported_empty
    return ", ".join(words)


# -- checks --------------------------------------------------------------------------------------


def _with_checks(block: re.Match[str]) -> str:
    lines = {
        "checks of a plan": _checks_of_plan,
        "checks of doctor": _checks_of_doctor,
        "versions": _versions,
        "backends": _backends,
    }[block["what"]]()
    return "\n".join([block[1].rstrip("\n"), *lines, block[3]])


def _checks_of_plan() -> Iterator[str]:
    yield from _head("check", "looks whether", "a blocker if", "why")
    for row in PLAN_ROWS:
        yield _line(f"`{row.id}`", row.title, row.blocks or "never", _cell(row.because, row.link))


def _checks_of_doctor() -> Iterator[str]:
    yield from _head("check", "looks at", "for", "why")
    for row in ROWS:
        jobs = "every job" if row.jobs == frozenset(Job) else _listed(sorted(row.jobs))
        yield _line(f"`{row.id}`", row.title, jobs, _cell(row.because, row.link))


def _versions() -> Iterator[str]:
    yield from _head("kinds", "in Git", "is made as", "why")
    for row in yamlrocks.loads(shipped("desired/versions.yaml").read_bytes()):
        kinds, old = _listed(row["kinds"]), _listed(row["from"])
        yield _line(kinds, old, _code(row["to"]), _cell(row["because"], row["link"]))


def _backends() -> Iterator[str]:
    yield from _head("driver", "parameters", "why")
    for row in backends():
        yield _line(_code(row.driver), _listed(row.parameters), _cell(row.because, row.link))


def _head(*cells: str) -> Iterator[str]:
    yield _line(*cells)
    yield "|" + "---|" * len(cells)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the pages that are not current and say which; returns the exit code."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(DOCS.parent)}: written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
