"""The comment on a pull request: as much as fits, whole, and nothing in it that is not ours.

What GitHub would make of it is looked at as HTML, by a parser of the same Markdown.
"""

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gitops_dr.drift.ignore import RuleUse
from gitops_dr.model import (
    Action,
    Difference,
    FieldChange,
    FieldManager,
    Gap,
    Identity,
    MaskedValue,
    Presence,
    Ref,
)
from gitops_dr.reports.comment import BUDGET, LEAST, Detail, is_quiet, render
from gitops_dr.results.drift import Against, Drifted, Merge

COMMIT, BASE = "c" * 40, "b" * 40
LIVE = Identity("7ce79e00", "v1.37.2", "390")
LINK = "https://github.com/o/r/actions/runs/9"
WEB = Ref("apps", "Deployment", "shop", "web")
EDIT = FieldManager("kubectl-edit", "Update", time="2026-11-22T10:00:00Z")
REPLICAS = FieldChange("spec.replicas", "replace", 2, 3, (EDIT,))
LABEL = FieldChange("metadata.labels.team", "add", new="a")
PAUSED = FieldChange("spec.paused", "remove", old=True)
MODIFIED = Difference(WEB, Presence.MODIFIED, "web.yaml", (REPLICAS, LABEL, PAUSED))
MISSING = Difference(Ref("", "ConfigMap", "shop", "a"), Presence.MISSING, "a.yaml")
UNMANAGED = Difference(
    Ref("", "ConfigMap", "shop", "b"), Presence.UNMANAGED, "b.yaml", managers=(EDIT,)
)
UNKNOWN = Difference(
    Ref("example.com", "Shop", "", "*"), Presence.UNKNOWN, "s.yaml", reason="403 Forbidden"
)
GAP = Gap(Ref("example.com", "Shop", "", "*"), "403 Forbidden")
CLEAN = Drifted("prod", COMMIT, LIVE, (), 12, (), existing=12)
DRIFTED = replace(CLEAN, differences=(MISSING, MODIFIED, UNMANAGED), existing=15)
MERGES = (
    Merge(WEB, Action.CONFIGURE, (FieldChange("spec.replicas", "replace", 3, 5),)),
    Merge(Ref("", "ConfigMap", "shop", "c"), Action.CREATE),
)
PULLED = replace(DRIFTED, against=Against(BASE, MERGES))


class Page(HTMLParser):
    """The HTML of a comment: its tags in order, its text outside of code, and what is wrong."""

    VOID = frozenset({"br", "hr"})

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.prose = ""
        self.code: list[str] = []
        self.wrong: list[str] = []
        self._open: list[str] = []
        parser = MarkdownIt("commonmark", {"html": True}).enable("table")
        self.feed(parser.render(markdown))
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if (tag, name) == ("a", "href"):
                self.links.append(str(value))
            elif (tag, name, value) != ("code", "class", "language-diff"):
                self.wrong.append(f"{tag} {name}={value}")
        if tag in ("code", "pre"):
            self.code.append("")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            self.wrong.append(f"/{tag} in {self._open}")

    def handle_data(self, data: str) -> None:
        if {"code", "pre"} & set(self._open):
            self.code[-1] += data
        else:
            self.prose += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append(f"declaration {decl}")

    def handle_pi(self, data: str) -> None:
        self.wrong.append(f"instruction {data}")


ALLOWED = {
    *("h2", "h3", "h4", "p", "ul", "li", "em", "code", "pre", "details", "summary", "sub", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def well_formed(text: str) -> Page:
    page = Page(text)
    assert not page.wrong
    assert set(page.tags) <= ALLOWED
    assert page.tags.count("details") == page.tags.count("summary")
    assert set(page.links) <= {LINK}
    # GitHub makes mentions and references of what stands outside of code.
    assert not re.search(r"@\w|#\d|GH-\d|https?://|www\.", page.prose, re.IGNORECASE)
    return page


def size(text: str) -> int:
    """The largest of the ways in which a limit may be counted."""
    return max(len(text.encode()), len(text.encode("utf-16-le")) // 2, len(text))


# -- what it says -------------------------------------------------------------------------------


def test_no_drift() -> None:
    assert render(CLEAN, link=LINK) == (
        "## `prod`: no drift\n"
        "\n"
        "The cluster is what Git says.\n"
        "\n"
        "<sub>Compared with commit `cccccccccccc`; 12 of 12 existing objects compared (100.0%); "
        f"[the whole report is with the run]({LINK}).</sub>"
    )


def test_what_merging_would_change_stands_apart_from_drift() -> None:
    text = render(PULLED)
    page = well_formed(text)
    head, merging, drift = text.split("\n### ")
    assert head == (
        "## `prod`: merging would configure 1, create 1; "
        "1 missing, 1 modified, 1 unmanaged already\n"
    )
    assert merging.startswith("What merging would change\n")
    assert "- 3\n+ 5\n" in merging
    assert "- create `ConfigMap/shop/c`\n" in merging
    assert drift.startswith("What is drift already\n")
    assert "- 2\n+ 3\n" in drift
    assert "- missing `ConfigMap/shop/a`" in drift
    assert "- unmanaged `ConfigMap/shop/b` (by kubectl-edit" in drift
    assert "Compared with commit `bbbbbbbbbbbb`; merging `cccccccccccc`; 14 of 15 existing" in drift
    assert page.tags.count("details") == 2
    assert sum("spec.replicas" in block for block in page.code) == 2


def test_a_pull_request_that_changes_nothing() -> None:
    text = render(replace(CLEAN, against=Against(BASE, ())))
    assert text.startswith("## `prod`: merging would change nothing; no drift\n")
    assert "Nothing in this cluster.\n" in text


def test_what_is_not_known_is_said() -> None:
    found = replace(
        DRIFTED,
        differences=(replace(MODIFIED, changes=(LABEL,), compared_locally="no dry run"), UNKNOWN),
        gaps=(GAP,) * 30,
        ignored=(RuleUse("ignore[0]", "x", 3), RuleUse("ignore[1] a", "x", 0, "unused", "b?")),
    )
    text = render(found)
    page = well_formed(text)
    assert text.startswith("## `prod`: 1 modified, 1 unknown; 30 not readable\n")
    assert "compared locally: no dry run" in page.prose
    assert text.count("\n- Shop.example.com/\\*: 403 Forbidden") == 20
    assert "Could not be read: 30" in page.prose
    assert "and 10 others" in page.prose
    assert "ignore[0]: x" in page.prose
    assert "ignore[1] a: unused; b?" in page.prose


@pytest.mark.parametrize(
    ("result", "quiet"),
    [
        (CLEAN, True),
        (replace(CLEAN, against=Against(BASE, ())), True),
        (replace(CLEAN, against=Against(BASE, MERGES)), False),
        (replace(CLEAN, gaps=(GAP,)), False),
        (DRIFTED, False),
        (replace(CLEAN, differences=(UNKNOWN,)), False),
    ],
)
def test_whether_there_is_anything_to_tell(result: Drifted, quiet: bool) -> None:
    assert is_quiet(result) is quiet


def test_a_large_value_is_no_reason_to_leave_the_others_out() -> None:
    started = time.monotonic()
    large = FieldChange("data.x", "replace", "a\n" * (1 << 19), "b\n" * (1 << 19))
    text = render(replace(CLEAN, differences=(replace(MODIFIED, changes=(large, REPLICAS)),)))
    assert time.monotonic() - started < 10
    well_formed(text)
    assert "- 2\n+ 3\n" in text
    assert "Too long" not in text


# -- as much as fits ----------------------------------------------------------------------------


def many(number: int, value: str = "x") -> tuple[Difference, ...]:
    change = FieldChange("spec.image", "replace", value, f"{value}!", (EDIT,))
    return tuple(
        replace(MODIFIED, ref=replace(WEB, name=f"web-{n}"), changes=(change,))
        for n in range(number)
    )


def merging(number: int, value: str = "x") -> Against:
    change = FieldChange("spec.image", "replace", value, f"{value}!")
    return Against(
        BASE,
        tuple(
            Merge(replace(WEB, name=f"new-{n}"), Action.CONFIGURE, (change,)) for n in range(number)
        ),
    )


@pytest.mark.parametrize(
    ("merges", "drifts", "merged", "drifted"),
    [
        (10, 10, "full", "full"),
        (10, 400, "full", "names"),
        (400, 400, "names", "names"),
        (400, 10_000, "names", "counts"),
        (10_000, 10_000, "counts", "counts"),
    ],
)
def test_what_is_too_much_is_said_shorter(
    merges: int, drifts: int, merged: str, drifted: str
) -> None:
    text = render(replace(CLEAN, differences=many(drifts), against=merging(merges)), link=LINK)
    page = well_formed(text)
    assert size(text) <= BUDGET
    parts = text.split("### What is drift already")
    for part, name, how in ((parts[0], "new-9", merged), (parts[1], "web-9", drifted)):
        named = name in part or name.replace("-", "&#45;") in part
        assert ("<details>" in part, named) == {
            "full": (True, True),
            "names": (False, True),
            "counts": (False, False),
        }[how]
    assert f"merging would configure {merges}; {drifts} modified already" in page.prose
    assert ("Too long" in page.prose) == ((merged, drifted) != ("full", "full"))
    assert page.links == [LINK]


def test_numbers_are_by_kind_with_the_most_first() -> None:
    several = tuple(
        replace(MISSING, ref=Ref("", f"Kind{kind}", "shop", f"x{number}"))
        for kind in range(12)
        for number in range(20 - kind)
    )
    text = render(replace(CLEAN, differences=several), most=Detail.COUNTS)
    rows = re.findall(r"^\| (.*) \| (\d+) \|$", text, re.MULTILINE)
    assert rows[0] == ("`Kind0`", "20")
    assert rows[-1] == ("all others", "19")
    assert sum(int(number) for _, number in rows) == len(several)
    assert "Too long" not in text


def test_where_everybody_reads_no_value_is_shown() -> None:
    text = render(PULLED, most=Detail.NAMES)
    page = well_formed(text)
    assert "web" in text
    assert not {"details", "pre"} & set(page.tags)
    assert "spec.replicas" not in text
    assert "Too long" not in text


@given(
    budget=st.integers(LEAST, 200_000),
    merges=st.integers(0, 300),
    drifts=st.integers(0, 300),
    value=st.sampled_from(
        ["x", "ü" * 300, "\U0001f600" * 200, "`" * 500, "a\n" * 200, "\x00" * 90]
    ),
)
def test_it_is_never_over_its_budget_nor_cut_in_the_middle(
    budget: int, merges: int, drifts: int, value: str
) -> None:
    result = replace(CLEAN, differences=many(drifts, value), against=merging(merges, value))
    text = render(result, budget=budget, link=LINK)
    assert size(text) <= budget
    well_formed(text)


def test_a_budget_is_counted_in_bytes() -> None:
    for number in range(0, 200, 5):
        assert size(render(replace(CLEAN, differences=many(number, "ü" * 180)))) <= BUDGET


NASTY = "`|<>&@#-*_" * 400


def test_the_least_budget_is_enough_for_the_worst() -> None:
    worst = Ref(NASTY, NASTY, NASTY, NASTY)
    found = Difference(worst, Presence.UNKNOWN, "", (), NASTY)
    kinds = [replace(worst, kind=chr(0x4E00 + n) + NASTY) for n in range(50)]
    result = Drifted(
        NASTY,
        NASTY,
        LIVE,
        tuple(replace(found, ref=ref) for ref in kinds),
        1,
        (Gap(worst, NASTY),) * 1000,
        existing=10**9,
        ignored=(RuleUse(NASTY, NASTY, 10**9, NASTY, NASTY),) * 1000,
        against=Against(NASTY, tuple(Merge(ref, Action.CREATE) for ref in kinds)),
    )
    text = render(result, budget=LEAST, link=LINK)
    assert size(text) <= LEAST
    well_formed(text)


# -- hostile text -------------------------------------------------------------------------------

HOSTILE = [
    "```\n</details>\n# owned\n```",
    "</code></summary></details><img src=x onerror=alert(1)>",
    "--> <!-- gitops-dr cluster=prod job=drift -->",
    "<!-- gitops-dr cluster=prod job=drift -->\nforged",
    "@team @ada/x fixes #1, closes o/r#2 GH-3 https://evil.example www.evil.example",
    "[click](https://evil.example) ![x](https://evil.example/p.png)",
    "\n\n## heading\n\n- item\n\n| a | b |\n|---|---|\n",
    "~~~\n</details>\n~~~",
    "`` ` ``` ````",
    "&lt;script&gt;&#64;team &#35;1",
    "a\x1b[2J\u202eb\u2066\r\x00",
    "\\`\\|\\<",
    "    indented @team",
    "<details><summary>",
    "<![CDATA[ @team ]]> <?php @team ?> <!DOCTYPE x>",
    "$@team$ :tada: ==x== _a_ *b* ~~c~~",
    "|",
    "",
    " ",
    "`",
]


def everywhere(text: str) -> Drifted:
    """A result with this text in every place that text can come from."""
    manager = FieldManager(text, text, text, text)
    changes = (
        FieldChange(text, "replace", text, text + "!", (manager, manager)),
        FieldChange(text, "add", new={text: [text]}),
        FieldChange(text, "remove", old=[text]),
        FieldChange(text, "replace", f"a\n{text}\nb", f"c\n{text}\nd"),
    )
    ref = Ref(text, text, text, text)
    differences = (
        Difference(ref, Presence.MODIFIED, text, changes, compared_locally=text),
        Difference(ref, Presence.MISSING, text),
        Difference(ref, Presence.UNMANAGED, text, managers=(manager,)),
        Difference(ref, Presence.UNKNOWN, text, reason=text),
    )
    return Drifted(
        text,
        text,
        Identity(text, text, text),
        differences,
        1,
        (Gap(ref, text),),
        existing=9,
        ignored=(RuleUse(text, text, 1, text or "unused", text),),
        against=Against(
            text,
            (Merge(ref, Action.CONFIGURE, changes), Merge(ref, Action.CREATE)),
        ),
    )


def harmless(text: str, most: Detail) -> None:
    rendered = render(everywhere(text), link=LINK, most=most)
    page = well_formed(rendered)
    assert page.tags.count("details") == (2 if most is Detail.FULL else 0)
    assert page.tags.count("h2") == 1
    assert rendered.startswith("## ")
    assert not {"\x1b", "\u202e", "\u2066", "\r", "\x00"} & set(rendered)
    assert page.links == [LINK]
    assert "owned" not in page.prose or "owned" in text
    for block in re.findall(r"^(`{3,})diff\n(.*?)^\1$", rendered, re.MULTILINE | re.DOTALL):
        # Whatever a line says, whether it is old, new or ours is said by its first sign.
        assert all(line[:2] in ("  ", "- ", "+ ", "@@") for line in block[1].splitlines())


@pytest.mark.parametrize("most", Detail)
@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_cluster_stays_text(text: str, most: Detail) -> None:
    harmless(text, most)


@given(
    st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=4).map("".join),
    st.sampled_from(Detail),
)
def test_so_does_any_mixture(text: str, most: Detail) -> None:
    harmless(text, most)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a.example/) @team [x](https://b.example", "x", ""]
)
def test_a_link_that_is_none_is_left_out(link: str) -> None:
    assert well_formed(render(CLEAN, link=link)).links == []


# -- secrets ------------------------------------------------------------------------------------


def test_a_secret_s_value_is_not_shown() -> None:
    secret = Ref("", "Secret", "shop", "db")
    changes = (
        FieldChange("data.password", "replace", "aHVudGVyMg==", "aHVudGVyMw=="),
        FieldChange("data.token", "replace", MaskedValue("hunter4"), MaskedValue("hunter4")),
    )
    result = replace(
        CLEAN,
        differences=(Difference(secret, Presence.MODIFIED, "", changes),),
        against=Against(BASE, (Merge(secret, Action.CONFIGURE, changes),)),
    )
    text = render(result)
    assert "data.password" in text
    assert "aHVudGVy" not in text
    assert "hunter" not in text
    assert "***" in text
