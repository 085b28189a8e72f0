"""Drift as a page in a real browser: chromium, without a window.

Each test loads a file; what the page's script made of it is read back as HTML, and what the
browser had to complain about is on its stderr. CI installs chromium; where there is none, these are
skipped.
"""

import html
import json
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from reports.pages import Node, read_html
from reports.samples import CLEAN, FULL, MERGING, hostile, many

from gitops_dr.reports.drift.html import as_html
from gitops_dr.results.drift import Drifted

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page in")


@dataclass
class Seen:
    """What became of a page."""

    page: Node
    complaints: list[str]

    @property
    def rows(self) -> list[Node]:
        return [row for row in self.page.every(class_="row") if row.attributes["data-authors"]]

    @property
    def visible(self) -> list[str]:
        return [row.every("b")[0].text for row in self.rows if not row.hidden]

    @property
    def shown(self) -> str:
        return self.page.every("output")[0].text

    @property
    def title(self) -> str:
        return self.page.every("title")[0].text

    def options(self, name: str) -> list[str]:
        (select,) = self.page.every("select", name=name)
        return [option.text for option in select.every("option")]

    def tiles(self) -> dict[str, str]:
        return {
            tile.attributes["data-tile"]: tile.every("b")[0].text
            for tile in self.page.every("button", class_="tile")
        }


def run(tmp_path: Path, text: str, *options: str, fragment: str = "") -> tuple[str, list[str]]:
    file = tmp_path / "drift.html"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            # The sandbox needs rights that a container of CI has not; the page is our own.
            *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={tmp_path / 'profile'}", *options),
            f"{file.as_uri()}{fragment}",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, complaints


def see(tmp_path: Path, result: Drifted | str, fragment: str = "", *options: str) -> Seen:
    text = result if isinstance(result, str) else as_html(result)
    dom, complaints = run(tmp_path, text, "--dump-dom", *options, fragment=fragment)
    return Seen(read_html(re.sub("^<!doctype html>", "", dom, flags=re.IGNORECASE)), complaints)


def without_policy(text: str) -> str:
    """The page as it were if its policy let anything run, for what a test wants to run in it."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)


def with_script(result: Drifted, script: str) -> str:
    inside = f"<script>(async () => {{{script}}})()</script></body>"
    return without_policy(as_html(result)).replace("</body>", inside)


def test_all_of_it_is_there_and_the_browser_does_not_complain(tmp_path: Path) -> None:
    seen = see(tmp_path, FULL)
    assert seen.complaints == []
    assert seen.visible == ["*", "operators", "db", "api", "a", "old", "web"]
    assert seen.shown == "7 of 7 differences"
    assert not seen.page.every("form")[0].hidden
    assert seen.options("namespace") == [
        *("every namespace", "(cluster-scoped) (2)", "books (2)", "shop (3)"),
    ]
    assert seen.options("kind")[1:3] == [
        "ClusterRole.rbac.authorization.k8s.io (1)",
        "ConfigMap (2)",
    ]
    assert seen.options("author") == [
        *("every author", "helm (1)", "kube-controller-manager (1)", "kubectl (2)"),
        *("kubectl-edit (4)", "unknown (3)"),
    ]
    assert seen.tiles() == {"missing": "1", "modified": "4", "unmanaged": "1", "unknown": "1"}


CHOICES = {
    "#kind=Deployment.apps": ["api", "web"],
    "#namespace=books": ["db", "api"],
    "#namespace=(cluster-scoped)": ["*", "operators"],
    "#author=kubectl-edit": ["operators", "db", "old", "web"],
    "#author=unknown&namespace=shop": ["a", "web"],
    "#state=modified&kind=Secret": ["db"],
    "#q=REPLICAS": ["api", "web"],
    "#q=verbs+operators": ["operators"],
    "#q=webhook&author=kubectl": ["api"],
    "#kind=Nothing": [],
    "#other=x": ["*", "operators", "db", "api", "a", "old", "web"],
}


def test_the_address_chooses(tmp_path: Path) -> None:
    look = """
      const seen = {};
      for (const choice of CHOICES) {
        location.hash = choice;
        await new Promise((done) => addEventListener("hashchange", done, {once: true}));
        const rows = (inside) => [...inside.querySelectorAll(".row")].filter((row) => !row.hidden);
        seen[choice] = {
          visible: rows(document).map((row) => row.querySelector("b").textContent),
          shown: document.getElementById("shown").value,
          none: document.getElementById("none").hidden,
          sections: [...document.querySelectorAll(".namespace")].map((section) => {
            const number = section.querySelector(".number").textContent;
            return [section.hidden, rows(section).length, Number(number)];
          }),
        };
      }
      document.title = JSON.stringify(seen);
    """.replace("CHOICES", json.dumps(list(CHOICES)))
    seen = see(tmp_path, with_script(FULL, look), "", "--virtual-time-budget=20000")
    for choice, found in json.loads(seen.title).items():
        visible = CHOICES[choice]
        assert found["visible"] == visible, choice
        assert found["shown"] == f"{len(visible)} of 7 differences"
        assert found["none"] == bool(visible)
        for hidden, rows, number in found["sections"]:
            assert rows == number
            assert hidden == (not rows)


def test_people_choose(tmp_path: Path) -> None:
    """By the controls: a select, a tile, words, and back to everything; the address follows."""
    act = """
      const form = document.getElementById("filter");
      const seen = [];
      const look = async () => {
        await new Promise((done) => setTimeout(done, 300));
        const rows = [...document.querySelectorAll(".row")].filter((row) => !row.hidden);
        seen.push([location.hash, rows.map((row) => row.querySelector("b").textContent)]);
      };
      const choose = (name, value) => {
        form.elements[name].value = value;
        form.elements[name].dispatchEvent(new Event("input", {bubbles: true}));
      };
      choose("namespace", "shop");
      await look();
      document.querySelector("[data-tile=modified]").click();
      await look();
      document.querySelector("[data-tile=modified]").click();
      choose("q", "old");
      await look();
      form.reset();
      await look();
      document.getElementById("fold").click();
      seen.push(document.querySelectorAll("details.row[open]").length);
      document.getElementById("unfold").click();
      seen.push(document.querySelectorAll("details.row[open]").length);
      document.title = JSON.stringify(seen);
    """
    seen = see(tmp_path, with_script(FULL, act), "", "--virtual-time-budget=20000")
    everything = ["*", "operators", "db", "api", "a", "old", "web"]
    assert json.loads(seen.title) == [
        ["#namespace=shop", ["a", "old", "web"]],
        ["#state=modified&namespace=shop", ["web"]],
        ["#namespace=shop&q=old", ["old"]],
        ["", everything],
        0,
        5,
    ]


def test_counts_say_what_choosing_would_show(tmp_path: Path) -> None:
    seen = see(tmp_path, FULL, "#kind=Deployment.apps&namespace=books")
    assert seen.options("kind")[3] == "Deployment.apps (1)"
    assert seen.options("kind")[4] == "Secret (1)"
    assert seen.options("namespace")[2:] == ["books (1)", "shop (1)"]
    assert seen.options("author")[3:] == ["kubectl (1)", "kubectl-edit (0)", "unknown (0)"]
    assert seen.tiles() == {"missing": "0", "modified": "1", "unmanaged": "0", "unknown": "0"}


def test_a_clean_page_loads_without_a_complaint(tmp_path: Path) -> None:
    assert see(tmp_path, CLEAN).complaints == []


def test_hostile_text_does_not_run(tmp_path: Path) -> None:
    seen = see(tmp_path, hostile(), "#q=owned")
    assert seen.complaints == []
    assert seen.title.startswith("Drift of ")
    assert seen.shown == "4 of 4 differences"
    written = read_html(as_html(hostile()).removeprefix("<!doctype html>"))
    assert {node.tag for node in seen.page.every()} == {node.tag for node in written.every()}
    assert len(seen.page.every("script")) == 1
    # The names came through the selects that the script filled, too.
    assert all("<img src=x" in seen.options(name)[1] for name in ("namespace", "kind", "author"))


def test_the_policy_would_stop_what_got_through(tmp_path: Path) -> None:
    inside = (
        "<script>document.title='owned'</script><img src='x' onerror=\"document.title='owned'\">"
    )
    broken = as_html(FULL).replace("<main>", f"<main>{inside}")
    seen = see(tmp_path, broken)
    assert seen.title == "Drift of prod: 1 missing, 4 modified, 1 unmanaged, 1 unknown"
    assert len(seen.complaints) >= 2
    assert see(tmp_path, without_policy(broken)).title == "owned"


def test_without_its_script_it_is_a_list(tmp_path: Path) -> None:
    silent = re.sub("script-src [^;]*;", "script-src &#39;none&#39;;", as_html(FULL))
    seen = see(tmp_path, silent, "#kind=Deployment.apps")
    assert any("violates" in line for line in seen.complaints)
    assert seen.visible == ["*", "operators", "db", "api", "a", "old", "web"]
    assert seen.page.every("form")[0].hidden


def test_ten_thousand_differences_are_filtered(tmp_path: Path) -> None:
    fragment = "#kind=StatefulSet.apps&namespace=ns-7&q=object"
    dom, complaints = run(tmp_path, as_html(many(10_000)), "--dump-dom", fragment=fragment)
    assert complaints == []
    left = len([n for n in range(10_000) if n % 3 == 2 and n % 50 == 7])
    assert f">{left} of 10000 differences</output>" in dom


def test_it_is_no_wider_than_the_screen(tmp_path: Path) -> None:
    """In frames, because a window cannot be made as narrow as a phone."""
    pages = [
        (f"{name} {width}", width, html.escape(without_policy(as_html(result))))
        for width in (360, 768, 1280)
        for name, result in (("usual", MERGING), ("hostile", hostile("x" * 5000)))
    ]
    frames = "".join(
        f'<iframe title="{name}" style="width:{width}px" srcdoc="{text}"></iframe>'
        for name, width, text in pages
    )
    measure = """<script>addEventListener("load", () => {
      document.title = JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => [
        frame.title, frame.contentDocument.documentElement.scrollWidth, frame.clientWidth,
      ]));
    })</script>"""
    dom, _ = run(tmp_path, f"<!doctype html><title></title>{frames}{measure}", "--dump-dom")
    (title,) = re.findall("<title>(.*?)</title>", dom)[:1]
    measured = json.loads(html.unescape(title))
    assert len(measured) == len(pages)
    for name, content, screen in measured:
        assert 0 < content <= screen, name


def test_it_has_a_dark_side(tmp_path: Path) -> None:
    pictures = []
    for scheme in (1, 0):
        picture = tmp_path / f"{scheme}.png"
        options = (f"--screenshot={picture}", "--window-size=390,800", "--hide-scrollbars")
        run(tmp_path, as_html(FULL), *options, f"--blink-settings=preferredColorScheme={scheme}")
        pictures.append(picture.read_bytes())
    for data in pictures:
        assert struct.unpack(">II", data[16:24]) == (390, 800)
    assert pictures[0] != pictures[1]
