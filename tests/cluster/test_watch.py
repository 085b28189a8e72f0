"""A watch lists, follows, and takes itself up again whatever happens to the connection."""

import threading
from contextlib import contextmanager

import pytest
from fake_api import event, listed, refusal, reply, stream

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.watch import watch
from gitops_dr.model import Resource

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
PATH = "/api/v1/pods"


def pod(name, revision="1"):
    return {"metadata": {"name": name, "resourceVersion": revision}}


class Watched:
    """What a watch has shown so far."""

    def __init__(self):
        self.names = []
        self.changed = threading.Condition()
        self.fail_once_on = ""

    def __call__(self, body):
        name = body["metadata"]["name"]
        with self.changed:
            if name == self.fail_once_on:
                self.fail_once_on = ""
                raise ApiError("cannot be judged", status=503)
            self.names.append(name)
            self.changed.notify_all()

    def wait_for(self, *names):
        with self.changed:
            self.changed.wait_for(lambda: len(self.names) >= len(names), timeout=30)
            assert self.names == list(names)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("gitops_dr.cluster.watch._RESTART", 0.001)


@contextmanager
def watching(connection, seen):
    stop = threading.Event()
    thread = threading.Thread(target=watch, args=(connection, PODS, seen, stop))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def script(api, lists, watches):
    """Answer lists and watches of one path each from a script of its own; the last one stays."""

    def answer(request):
        queue = watches if request.query.get("watch") else lists
        return queue.pop(0) if len(queue) > 1 else queue[0]

    api.on(PATH, answer)


def watches(api):
    return [request.query for request in api.asked(PATH) if "watch" in request.query]


def lists(api):
    return [request.query for request in api.asked(PATH) if "watch" not in request.query]


CALM = stream()
"""A watch in which nothing happens, and which ends properly."""


def test_it_lists_and_then_follows_from_that_very_revision(api, connection):
    followed = stream(event("ADDED", pod("c", "101")), event("MODIFIED", pod("a", "102")))
    script(api, [reply(listed(pod("a"), pod("b"), revision="100"))], [followed, CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b", "c", "a")
        api.wait_until_asked(PATH, times=3)
    assert len(lists(api)) == 1
    first, second = watches(api)[:2]
    assert first["resourceVersion"] == "100"
    assert first["allowWatchBookmarks"] == "true"
    assert second["resourceVersion"] == "102"


def test_of_a_list_in_pages_the_first_revision_counts(api, connection):
    pages = [
        reply(listed(pod("a"), revision="100", then="1")),
        refusal(410, "Expired", "too old", then="goes on"),
        reply(listed(pod("b"), revision="200")),
    ]
    script(api, pages, [CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b")
        api.wait_until_asked(PATH, times=4)
    assert watches(api)[0]["resourceVersion"] == "100"


def test_deletions_and_bookmarks_are_not_shown_but_count(api, connection):
    followed = stream(event("DELETED", pod("a", "101")), event("BOOKMARK", pod("", "150")))
    script(api, [reply(listed())], [followed, CALM])
    seen = Watched()
    with watching(connection, seen):
        api.wait_until_asked(PATH, times=3)
    assert watches(api)[1]["resourceVersion"] == "150"
    assert seen.names == []


@pytest.mark.parametrize(
    "broken_off",
    [
        stream(event("ADDED", pod("a", "101")), event("ADDED", pod("b"))[:20], end="break"),
        stream(event("ADDED", pod("a", "101")), event("ADDED", pod("b"))[:20]),
        stream(event("ADDED", pod("a", "101")), b"<html>\n"),
    ],
)
def test_a_stream_that_breaks_in_the_middle_of_a_line_goes_on_where_it_was(
    api, connection, broken_off
):
    rest = stream(event("ADDED", pod("b", "102")))
    script(api, [reply(listed())], [broken_off, rest, CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b")
    assert len(lists(api)) == 1
    assert watches(api)[1]["resourceVersion"] == "101"


def test_a_stream_that_says_nothing_any_more_is_opened_anew(api, connection, monkeypatch):
    """Not even a bookmark: the connection is dead, and nobody was told."""
    monkeypatch.setattr("gitops_dr.cluster.watch._QUIET", 0.2)
    stuck = stream(event("ADDED", pod("a", "101")), end="hang")
    rest = stream(event("ADDED", pod("b", "102")))
    script(api, [reply(listed())], [stuck, rest, CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b")
    assert len(lists(api)) == 1
    assert watches(api)[1]["resourceVersion"] == "101"


def test_lines_may_arrive_in_pieces(api, connection):
    line = event("ADDED", pod("a", "101")) + event("ADDED", pod("b", "102"))
    script(api, [reply(listed())], [stream(line[:9], line[9:80], line[80:]), CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b")


@pytest.mark.parametrize(
    "forgotten",
    [
        stream(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})),
        refusal(410, "Expired", "too old"),
    ],
)
def test_a_server_that_has_forgotten_the_revision_is_listed_again(api, connection, forgotten):
    again = [reply(listed(pod("a"))), reply(listed(pod("b"), revision="300"))]
    script(api, again, [forgotten, CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a", "b")
        api.wait_until_asked(PATH, times=4)
    assert [query["resourceVersion"] for query in watches(api)[:2]] == ["100", "300"]


def test_a_kind_that_is_not_served_yet_is_waited_for(api, connection):
    script(api, [refusal(404, "NotFound", "no such kind"), reply(listed(pod("a")))], [CALM])
    seen = Watched()
    with watching(connection, seen):
        seen.wait_for("a")


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_could_not_be_taken_in_comes_again(api, connection, name):
    followed = stream(event("ADDED", pod("b", "101")))
    script(api, [reply(listed(pod("a")))], [followed, followed, CALM])
    seen = Watched()
    seen.fail_once_on = name
    with watching(connection, seen), seen.changed:
        assert seen.changed.wait_for(lambda: {"a", "b"} <= set(seen.names), timeout=30)
    assert watches(api)[0]["resourceVersion"] == "100"


def test_it_stops_while_it_waits_for_a_server_that_is_away(api, connection):
    api.on(PATH, refusal(403, "Forbidden", "not you"))
    with watching(connection, Watched()):
        api.wait_until_asked(PATH, times=2)


def test_it_stops_at_the_next_event(api, connection):
    stop = threading.Event()
    names = []

    def seen(body):
        names.append(body["metadata"]["name"])
        stop.set()

    followed = stream(event("ADDED", pod("a", "101")), event("ADDED", pod("b", "102")), end="hang")
    script(api, [reply(listed())], [followed])
    watch(connection, PODS, seen, stop)
    assert names == ["a"]
