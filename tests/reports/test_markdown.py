"""Text from a cluster in Markdown: whatever it is, it renders as that text and as nothing else.

markdown-it-py renders, which follows CommonMark, with GitHub's tables and its strikethrough.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports.pages import Node, read_html
from reports.samples import HOSTILE

from gitops_dr.reports.markdown import cell, code, code_tag, escape, fence, table
from gitops_dr.reports.text import shown

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SPACE = "\u200b"

texts = st.text(
    alphabet=st.one_of(
        st.sampled_from("\\`*_{}[]()<>#+-.!|~$&:;=@1aw /\"'\n\t"),
        st.characters(codec=None),
    )
)
TRICKS = [
    "# a", "1. a", "12) a", "- a", "+ a", "* a", "> a", "    a", "===", "---", "~~~", "```",
    "a  ", "a\\", "\\|", "|", "`", "` a `", "``", " a ", "", "&amp;", "&#64;", "<b>", "</code>",
    "<!-- a", "[a](b)", "![a](b)", "[a]: b", "[^1]", "a|b\\|c`|`", "~~a~~", "<details>", "$a$",
    "www.example.org", "https://example.org", "a@example.org", HOSTILE,
]  # fmt: skip


def render(markdown: str) -> Node:
    return read_html(RENDERER.render(markdown))


def tags(node: Node) -> list[str]:
    return [each.tag for each in node.every()]


@pytest.mark.parametrize("text", TRICKS)
def test_tricks_are_text(text: str) -> None:
    check_escape(text)
    check_code(text)
    check_cells(text)


@given(texts)
def test_escaped_text_is_text(text: str) -> None:
    check_escape(text)


def check_escape(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    for before in ("", "a paragraph\n", "- an item: "):
        page = render(before + escaped)
        assert set(tags(page)) <= {"p", "ul", "li"}
        assert len(page.every("li")) == before.count("- ")
        expected = (before.removeprefix("- ") + shown(text)).strip("\n")
        assert page.text.strip("\n").replace(SPACE, "") == expected.removesuffix(" " * (not text))


@given(texts)
def test_code_is_code(text: str) -> None:
    check_code(text)


def check_code(text: str) -> None:
    for written in (code(text), code_tag(text)):
        (paragraph,) = render(f"a {written} b").every("p")
        assert tags(paragraph) == ["code"]
        assert paragraph.text == f"a {shown(text)} b"


@given(texts)
def test_a_cell_is_one_cell(text: str) -> None:
    check_cells(text)


def check_cells(text: str) -> None:
    page = render("\n".join(table(("A", "B"), [(cell(text), code(text)), ("x", "y")])))
    rows = [row.every("td") for row in page.every("tr")[1:]]
    assert [len(row) for row in rows] == [2, 2]
    assert set(tags(page)) <= {"table", "thead", "tbody", "tr", "th", "td", "br", "code"}
    lines = shown(text.replace("\n", "\0")).split("\\u0000") if "\0" not in text else None
    if lines is not None:
        assert rows[0][0].text.replace(SPACE, "") == "".join(lines)
        assert len(rows[0][0].every("br")) == text.count("\n")
    assert rows[0][1].every("code")[0].text == shown(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("@octocat", "@&#8203;octocat"),
        ("a @team/all", "a @&#8203;team/all"),
        ("#12", "\\#&#8203;12"),
        ("owner/repo#12", "owner/repo#&#8203;12"),
        ("GH-12 gh-1", "GH-&#8203;12 gh-&#8203;1"),
        ("https://github.com/a/b/issues/1", "https:&#8203;//github.com/a/b/issues/1"),
        ("WWW.example.org", "WWW&#8203;.example.org"),
        ("a@b.example.org", "a@&#8203;b.example.org"),
    ],
)
def test_nobody_is_mentioned_and_nothing_is_referred_to(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_name_stays_readable() -> None:
    assert escape("my-app.v1/x") == "my-app.v1/x"
    assert code("Deployment.apps/shop/web") == "`Deployment.apps/shop/web`"
    assert code_tag("Deployment.apps/shop/web-1") == "<code>Deployment.apps/shop/web-1</code>"
    assert code_tag("www.a.example") == "<code>www&#46;a.example</code>"
    assert code_tag("@all <b>") == "<code>&#64;all &#60;b&#62;</code>"


@given(texts)
@example("```\na\n````\n")
@example("~~~\n    a\n")
@example("")
def test_nothing_ends_a_block_of_code(text: str) -> None:
    page = render(f"a\n\n{fence(text, 'diff')}\n\nb")
    assert tags(page) == ["p", "pre", "code", "p"]
    expected = "\n".join("\t".join(map(shown, line.split("\t"))) for line in text.split("\n"))
    assert page.every("code")[0].text == f"{expected}\n"
    assert page.every("code")[0].attributes == {"class": "language-diff"}


def test_the_fence_is_longer_than_any_run() -> None:
    assert fence("a", "diff") == "```diff\na\n```"
    assert fence("a ````` b ```") == "``````\na ````` b ```\n``````"
    assert fence("a\tb\x1b") == "```\na\tb\\u001b\n```"
    with pytest.raises(ValueError, match="is no language"):
        fence("a", "diff\n```")
