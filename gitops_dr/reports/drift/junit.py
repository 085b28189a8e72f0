"""A comparison as JUnit XML, which CI servers list as tests. Pure.

An object that differs is a failure, what could not be read an error, and all that is equal is one
test that passed. https://github.com/testmoapp/junitxml describes what readers understand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gitops_dr.model import Difference, Gap, Presence, Ref
from gitops_dr.reports.drift import words
from gitops_dr.reports.drift.table import object_lines
from gitops_dr.reports.text import count, shorten, shown
from gitops_dr.reports.values import mask
from gitops_dr.results.drift import Drifted

_NO_XML = re.compile("[\ufffe\uffff]")
"""What no XML 1.0 document can hold, of what ``shown`` leaves: https://www.w3.org/TR/xml/#charsets"""

_Entry = Difference | Gap


def as_junit(result: Drifted) -> str:
    """One suite for each namespace, one test for each object that differs."""
    result = mask(result)
    root = Element("testsuites", name=_text(f"gitops-dr drift {result.cluster}"))
    _summary(root, result)
    found: dict[str, list[_Entry]] = {}
    entries: list[_Entry] = [*result.differences, *result.gaps]
    for entry in entries:
        found.setdefault(entry.ref.namespace or words.CLUSTER_SCOPED, []).append(entry)
    for namespace, inside in sorted(found.items()):
        suite = _suite(root, namespace, inside)
        for entry in inside:
            _case(suite, entry)
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False)


def _summary(root: Element, result: Drifted) -> None:
    suite = _suite(root, result.cluster, ())
    suite.set("tests", "1")
    passed = f"{count(result.equal, 'object')} as Git has them"
    SubElement(suite, "testcase", classname=_text(result.cluster), name=passed)
    lines = [words.headline(result), words.coverage(result)]
    if result.against:
        lines.append(f"merging will {words.merging(result.against)}")
    lines += [f"ignore rule to mend: {line}" for line in words.rules_to_mend(result)]
    lines += [f"hidden by ignore rules: {line}" for line in words.hidden(result)]
    lines += [f"left out: {line}" for line in words.left_out(result)]
    SubElement(suite, "system-out").text = "\n".join(_text(line) for line in lines if line)


def _suite(root: Element, name: str, entries: Sequence[_Entry]) -> Element:
    errors = sum(map(_is_error, entries))
    counts = {"tests": len(entries), "failures": len(entries) - errors, "errors": errors}
    attributes = {"name": _text(name)} | {key: str(value) for key, value in counts.items()}
    return SubElement(root, "testsuite", attributes)


def _case(suite: Element, entry: _Entry) -> None:
    case = SubElement(suite, "testcase", classname=_class(entry.ref), name=_text(entry.ref.name))
    if isinstance(entry, Gap):
        _problem(case, "error", "gap", [entry.reason])
    else:
        kind = "error" if _is_error(entry) else "failure"
        _problem(case, kind, entry.presence, object_lines(entry))


def _problem(case: Element, tag: str, kind: str, lines: list[str]) -> None:
    text = "\n".join(map(_text, lines))
    message = shorten(_text(f"{kind}: {lines[0].removeprefix(kind).strip()}"), 400)
    SubElement(case, tag, message=message, type=kind).text = text


def _is_error(entry: _Entry) -> bool:
    return isinstance(entry, Gap) or entry.presence is Presence.UNKNOWN


def _class(ref: Ref) -> str:
    return _text(".".join(part for part in (ref.namespace, words.kind_of(ref)) if part))


def _text(text: str) -> str:
    return _NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", shown(text))
