"""Templates in a process of their own: whatever they do, it ends soon, and in one error."""

import time

import pytest

from gitops_dr.engine.templating import render_templates
from gitops_dr.errors import ManifestError
from gitops_dr.model import MaskedValue

PATH = "targets/standby/templates/own.yaml.j2"
PASSWORD = {"password": MaskedValue("s3cr3t")}


def rendered(source: str, seconds: float = 5.0) -> bytes:
    variables = {"values": {"city": "Graz"}}
    return render_templates({PATH: source}, variables, PASSWORD, seconds=seconds)[PATH]


def test_templates_are_rendered_with_values_and_secrets() -> None:
    assert rendered("{{ values.city }}: {{ secrets.password }}") == b"Graz: s3cr3t"
    assert render_templates({}, {}, {}) == {}


def test_each_is_rendered_for_itself() -> None:
    templates = {"a": "{% set x = 1 %}{{ x }}", "b": "{{ x | default('none') }}\n\u2028é"}
    assert render_templates(templates, {}, {}) == {"a": b"1", "b": "none\n\u2028é".encode()}


ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{{ 2 ** (2 ** 40) }}",
    "{{ 'x' * 10 ** 11 }}",
    "{{ '%99999999999d' | format(1) }}",
    "{{ 'a'.ljust(99999999999) }}",
    "{{ [1] | batch(99999999999, 'a') | list }}",
    (
        "{% set ns = namespace(x='aaaaaaaa') %}"
        "{% for n in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
    ),
]


@pytest.mark.parametrize("source", ENDLESS)
def test_what_would_never_end_or_fill_the_memory_is_ended(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(ManifestError) as caught:
        rendered(source, seconds=2.0)
    assert time.monotonic() - started < 10
    assert str(caught.value).startswith(PATH)
    assert caught.value.hint


def test_the_first_that_does_not_end_is_named() -> None:
    templates = {"a": "fine", "b": ENDLESS[0], "c": "fine"}
    with pytest.raises(ManifestError, match=r"^b: takes more than 1 seconds"):
        render_templates(templates, {}, {}, seconds=1.0)


def test_an_error_names_path_and_line_and_no_value() -> None:
    with pytest.raises(ManifestError) as caught:
        rendered("a\n{{ values[secrets.password] }}")
    assert str(caught.value) == f"{PATH}:2: 'dict object' has no attribute '***'"


def test_a_huge_result_is_an_error() -> None:
    with pytest.raises(ManifestError, match="makes more than 4194304 characters"):
        rendered("{% for n in range(9999) %}{{ 'x' * 10000 }}{% endfor %}")


def test_it_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    assert rendered("fine") == b"fine"
