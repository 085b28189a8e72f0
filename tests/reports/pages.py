"""Reads HTML that a report or a Markdown reader wrote: its tags, its text, and what is in it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "meta", "link"}


@dataclass
class Node:
    """An element with what is inside, texts and elements in their order."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    inside: list["Node | str"] = field(default_factory=list)

    def every(self, tag: str = "", **attributes: str) -> list["Node"]:
        """The elements below this one, of that tag and with these attributes (``class_``)."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        found = []
        for node in self.inside:
            if isinstance(node, str):
                continue
            classes = (node.attributes.get("class") or "").split()
            if tag in ("", node.tag) and all(
                value in classes if name == "class" else node.attributes.get(name) == value
                for name, value in wanted.items()
            ):
                found.append(node)
            found += node.every(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        return "".join(node if isinstance(node, str) else node.text for node in self.inside)

    @property
    def hidden(self) -> bool:
        return "hidden" in self.attributes


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("")]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].inside.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def read_html(text: str) -> Node:
    """Read HTML whose tags must all be closed and in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].tag}> is not closed"
    return reader.open[0]
