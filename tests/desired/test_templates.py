"""Templates of a target: what they may do, and that nothing else ends otherwise than in an error.

Whatever cannot be bounded in a process is tested in ``tests/engine/test_templating.py``.
"""

import pytest

from gitops_dr.desired.templates import MASK, TemplateError, render

VALUES = {"values": {"city": "Graz", "ports": [80, 443]}, "target": "standby", "cluster": "prod"}


def rendered(source: str, limit: int = 1000, **more: object) -> str:
    return render(source, {**VALUES, **more}, limit=limit, secret=("s3cr3t",))


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("a: {{ values.city }}\n", "a: Graz\n"),
        ("{{ cluster }} at {{ target }}", "prod at standby"),
        ("{% for port in values.ports %}{{ port }},{% endfor %}", "80,443,"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{% if values.city == 'Graz' %}yes{% endif %}", "yes"),
        ("{{ values.city | upper }}", "GRAZ"),
        ("{{ 'a: \"b\"' | quote }}", '"a: \\"b\\""'),
        ("{{ 'geheim' | b64encode }}", "Z2VoZWlt"),
        ("{{ values.town | default('none') }}", "none"),
        ("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(1) }}", "[1]"),
        ("{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x }}", "2"),
        ("<&>", "<&>"),
    ],
)
def test_what_a_template_is_for(source: str, result: str) -> None:
    assert rendered(source) == result


HOSTILE = [
    ("{{ values.town }}", "has no attribute 'town'"),
    ("{{ nothing }}", "'nothing' is undefined"),
    ("{{ ''.__class__ }}", "not allowed"),
    ("{{ ().__class__.__base__.__subclasses__() }}", "not allowed"),
    ("{{ values.__init__.__globals__ }}", "not allowed"),
    ("{{ values | attr('__class__') }}", "not allowed"),
    ("{{ values['__class__'] }}", "not allowed"),
    ("{{ '{0.__class__}'.format(values) }}", "not allowed"),
    ("{{ '{x.__class__}'.format_map({'x': values}) }}", "not allowed"),
    ("{{ (values | attr)('__class__') }}", ""),
    ("{{ render.__globals__ }}", "is undefined"),
    ("{{ self._TemplateReference__context }}", "not allowed"),
    ("{{ range.__call__ }}", "not allowed"),
    ("{% macro m() %}{% endmacro %}{{ m.__globals__ }}", "has no attribute"),
    ("{% set f = ''.format %}{{ f.__globals__ }}", "not allowed"),
    ("{{ values.update({'a': 1}) }}", "not allowed"),
    ("{{ values.ports.append(1) }}", "not allowed"),
    ("{{ cycler }}", "is undefined"),
    ("{{ lipsum() }}", "is undefined"),
    ("{{ joiner() }}", "is undefined"),
    ("{% include '/etc/passwd' %}", "reads another file"),
    ("{% import 'x' as x %}", "reads another file"),
    ("{% from 'x' import y %}", "reads another file"),
    ("{% extends 'x' %}", "reads another file"),
    ("{% extends values.city %}", "reads another file"),
    ("{{ range(10 ** 9) }}", "fails with OverflowError"),
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end"),
    ("{% for n in range(999) %}xxxxxxxxxx{% endfor %}", "makes more than 1000 characters"),
    ("{{ 'x' * 2000 }}", "makes more than 1000 characters"),
    ("{{ 1 / 0 }}", "fails with ZeroDivisionError"),
    ("{{ 'a' + 1 }}", "fails with TypeError"),
    ("{% bad %}", "unknown tag"),
    ("{{ ", "unexpected"),
    ("{% for x in y %}", "Unexpected end"),
    ("{{ x | nothing }}", "No filter named"),
]


@pytest.mark.parametrize(("source", "said"), HOSTILE, ids=[one[0] for one in HOSTILE])
def test_anything_else_is_one_clear_error(source: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        rendered(source)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_has_its_line() -> None:
    for source in ("a\nb\n{{ values.town }}", "a\nb\n{% bad %}", "a\nb\n{{ ''.__class__ }}"):
        with pytest.raises(TemplateError) as caught:
            rendered(source)
        assert caught.value.line == 3


@pytest.mark.parametrize(
    "source",
    [
        "{{ values[secrets.password] }}",
        "{{ values.ports[secrets.password] }}",
        "{{ range(secrets.password) }}",
    ],
)
def test_no_error_quotes_an_encrypted_value(source: str) -> None:
    with pytest.raises(TemplateError) as caught:
        rendered(source, secrets={"password": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_a_quoted_name_is_masked() -> None:
    with pytest.raises(TemplateError, match=r"has no attribute '\*\*\*'") as caught:
        rendered("{{ values[secrets.password] }}", secrets={"password": "s3cr3t"})
    assert MASK in str(caught.value)
