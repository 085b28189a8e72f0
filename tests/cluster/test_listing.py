"""Lists in pages: revisions, failures, and what becomes of the workers."""

import threading

import pytest
from fake_api import Answer, broken, listed, refusal, reply, text

from gitops_dr.cluster import listing
from gitops_dr.cluster.listing import (
    AT_ONCE,
    PAGE,
    ListRequest,
    collection_path,
    list_pages,
    object_path,
)
from gitops_dr.model import Resource

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
JOBS = Resource("batch", "v1", "Job", "jobs", namespaced=True)
NODES = Resource("", "v1", "Node", "nodes", namespaced=False)
PODS_PATH, JOBS_PATH = "/api/v1/pods", "/apis/batch/v1/jobs"


def items(*names):
    return [{"metadata": {"name": name}} for name in names]


def names(pages, resource=PODS):
    return [item["metadata"]["name"] for p in pages if p.resource == resource for item in p.items]


def pages_of(connection, *resources, **options):
    return list(list_pages(connection, [ListRequest(r) for r in resources], **options))


def list_threads():
    return [thread for thread in threading.enumerate() if thread.name == "list"]


def wait_for_the_end_of_workers():
    for thread in list_threads():
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _no_workers_of_others():
    wait_for_the_end_of_workers()


@pytest.mark.parametrize(
    ("resource", "namespace", "path"),
    [
        (PODS, "", "/api/v1/pods"),
        (PODS, "shop", "/api/v1/namespaces/shop/pods"),
        (JOBS, "shop", "/apis/batch/v1/namespaces/shop/jobs"),
        (NODES, "", "/api/v1/nodes"),
        (NODES, "shop", "/api/v1/nodes"),
    ],
)
def test_paths(resource, namespace, path):
    assert collection_path(resource, namespace) == path
    assert object_path(resource, namespace, "x") == f"{path}/x"


def test_pages_follow_the_continue_token(api, connection):
    api.on(
        PODS_PATH,
        reply(listed(*items("a", "b"), then="1")),
        reply(listed(*items("c"), then="2")),
        reply(listed(*items("d"))),
    )
    pages = pages_of(connection, PODS)
    assert names(pages) == ["a", "b", "c", "d"]
    assert [page.last for page in pages] == [False, False, True]
    assert not any(page.torn or page.error for page in pages)
    assert {page.revision for page in pages} == {"100"}
    assert [request.query for request in api.requests] == [
        {"limit": str(PAGE)},
        {"limit": str(PAGE), "continue": "1"},
        {"limit": str(PAGE), "continue": "2"},
    ]


def test_an_empty_list_is_one_page(api, connection):
    api.on(PODS_PATH, reply({"metadata": {"resourceVersion": "1"}, "items": None}))
    (page,) = pages_of(connection, PODS)
    assert (page.items, page.last, page.error) == ([], True, None)


def test_nothing_to_list_is_no_page(api, connection):
    assert pages_of(connection) == []


def test_metadata_only_asks_the_server_to_keep_the_rest(api, connection):
    api.on(PODS_PATH, reply(listed()))
    api.on(JOBS_PATH, reply(listed()))
    list(list_pages(connection, [ListRequest(PODS, metadata_only=True), ListRequest(JOBS)]))
    assert "as=PartialObjectMetadataList" in api.asked(PODS_PATH)[0].headers["Accept"]
    assert api.asked(JOBS_PATH)[0].headers["Accept"] == "application/json"


BUILT_IN = (
    b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},'
    b'"items":[{"metadata":{"name":"%b"}}]}\n'
)
CUSTOM = (
    b'{"apiVersion":"batch/v1","items":[{"kind":"Job","metadata":{"name":"%b"}}],'
    b'"kind":"JobList","metadata":{"continue":"","resourceVersion":"%d"}}\n'
)


def keyed(connection, resource=PODS, **options):
    (page,) = list_pages(connection, [ListRequest(resource, keyed=True)], **options)
    return page


@pytest.mark.parametrize(
    "answer",
    [lambda name, number: BUILT_IN % (number, name), lambda name, number: CUSTOM % (name, number)],
    ids=["built-in", "custom"],
)
def test_a_page_is_known_again_by_its_items(api, connection, answer):
    """And not by the revision that the list is of, which is another one each time."""
    said = [(b"a", 1), (b"a", 2), (b"b", 2), (b"a", 3)]
    api.on(PODS_PATH, *(Answer(pieces=(answer(*each),)) for each in said))
    first, second, other = (keyed(connection) for _ in range(3))
    assert first.key == second.key
    assert first.key != other.key
    assert not second.is_known
    again = keyed(connection, known={first.key})
    assert (again.is_known, again.items, again.last, again.revision) == (True, [], True, "3")


def test_the_same_items_of_another_resource_are_another_page(api, connection):
    for path in (PODS_PATH, JOBS_PATH):
        api.on(path, reply(listed(*items("a"))))
    pods, jobs = keyed(connection), keyed(connection, JOBS)
    assert pods.key != jobs.key
    assert keyed(connection, JOBS, known={pods.key}).items


def test_a_page_has_no_key_unless_asked_or_if_its_items_cannot_be_told_apart(api, connection):
    api.on(PODS_PATH, reply(listed(*items("a"))), reply({"items": items("a"), "metadata": {}}))
    (page,) = pages_of(connection, PODS)
    assert page.key is None
    assert keyed(connection).key is None


def test_a_list_that_fails_is_no_page_that_is_known(api, connection):
    api.on(PODS_PATH, reply(listed(*items("a"))), refusal(403, "Forbidden", "no"))
    first = keyed(connection)
    failed = keyed(connection, known={first.key})
    assert (failed.key, failed.is_known) == (None, False)
    assert failed.error


def test_lists_run_at_once_and_their_pages_interleave(api, connection):
    """Each resource's last page comes only when the other's first has been asked for."""
    both = threading.Barrier(2)

    def together(document):
        def answer(_request):
            both.wait(30)
            return reply(document)

        return answer

    for path in (PODS_PATH, JOBS_PATH):
        api.on(path, together(listed(*items("a"), then="1")), together(listed(*items("b"))))
    pages = pages_of(connection, PODS, JOBS)
    assert names(pages, PODS) == names(pages, JOBS) == ["a", "b"]


def test_no_more_lists_at_once_than_agreed(api, connection):
    resources = [Resource("", "v1", f"K{n}", f"k{n}", namespaced=False) for n in range(3 * AT_ONCE)]
    now, most, lock = set(), [], threading.Lock()

    def answer(request):
        with lock:
            now.add(request.path)
            most.append(len(now))
        # The first ones wait until as many as may be are there.
        while len(most) < AT_ONCE:
            threading.Event().wait(0.001)
        with lock:
            now.discard(request.path)
        return reply(listed())

    for resource in resources:
        api.on(collection_path(resource), answer)
    assert len(pages_of(connection, *resources)) == 3 * AT_ONCE
    assert max(most) == AT_ONCE


# -- one moment ------------------------------------------------------------------------------------


def test_lists_are_taken_at_the_revision_asked_for(api, connection):
    api.on(PODS_PATH, reply(listed(*items("a"), then="1")), reply(listed(*items("b"))))
    pages = pages_of(connection, PODS, revision="100")
    assert names(pages) == ["a", "b"]
    assert not any(page.torn for page in pages)
    first, second = (request.query for request in api.requests)
    assert first == {"limit": str(PAGE), "resourceVersion": "100", "resourceVersionMatch": "Exact"}
    assert second == {"limit": str(PAGE), "continue": "1"}


@pytest.mark.parametrize("status", [400, 410])
def test_where_the_revision_is_refused_the_list_is_as_it_is_and_torn(api, connection, status):
    api.on(
        PODS_PATH,
        refusal(status, "Expired", "no such revision", then="a token for nothing"),
        reply(listed(*items("a"), revision="120", then="1")),
        reply(listed(*items("b"), revision="120")),
    )
    pages = pages_of(connection, PODS, revision="100")
    assert names(pages) == ["a", "b"]
    assert all(page.torn for page in pages)
    assert [set(request.query) for request in api.requests[1:]] == [
        {"limit"},
        {"limit", "continue"},
    ]


def test_refused_twice_it_is_an_error(api, connection):
    api.on(PODS_PATH, refusal(400, "BadRequest", "never"))
    (page,) = pages_of(connection, PODS, revision="100")
    assert page.error is not None
    assert page.error.message == "never"
    assert len(api.requests) == 2


@pytest.mark.parametrize("then", ["", "1"])
def test_a_server_that_ignores_the_revision_is_found_out(api, connection, then):
    api.on(
        PODS_PATH,
        reply(listed(*items("a"), revision="777", then=then)),
        reply(listed(*items("b"), revision="777")),
    )
    pages = pages_of(connection, PODS, revision="100")
    assert all(page.torn for page in pages)


@pytest.mark.parametrize("revision", ["", "100"])
def test_a_list_that_expires_in_the_middle_goes_on_torn(api, connection, revision):
    """The token in the refusal goes on behind the last key that was given, at a later revision."""
    api.on(
        PODS_PATH,
        reply(listed(*items("a", "b"), then="1")),
        refusal(410, "Expired", "too old", then="goes on"),
        reply(listed(*items("c"), revision="120", then="2")),
        reply(listed(*items("d"), revision="120")),
    )
    pages = pages_of(connection, PODS, revision=revision)
    assert names(pages) == ["a", "b", "c", "d"]
    assert [page.torn for page in pages] == [False, True, True]
    assert pages[-1].last
    assert api.requests[2].query == {"limit": str(PAGE), "continue": "goes on"}


def test_without_a_token_to_go_on_it_ends_in_an_error(api, connection):
    api.on(PODS_PATH, reply(listed(*items("a"), then="1")), refusal(410, "Expired", "too old"))
    pages = pages_of(connection, PODS)
    assert names(pages) == ["a"]
    assert pages[-1].last
    assert pages[-1].error is not None


def test_a_token_that_leads_nowhere_is_not_followed_for_ever(api, connection):
    api.on(PODS_PATH, reply(listed(then="1")), refusal(410, "Expired", "too old", then="same"))
    pages = pages_of(connection, PODS)
    assert pages[-1].error is not None
    assert len(api.requests) == 3


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refusal(403, "Forbidden", "not you"), "not you"),
        (refusal(500, "InternalError", "conversion webhook failed"), "conversion webhook failed"),
        (text(200, "<html>log in</html>"), "the answer is not JSON"),
        (reply(["no list"]), "the answer is not a list"),
        (reply({"items": "none"}), "the answer is not a list"),
        (broken(), "no answer"),
    ],
)
def test_a_list_that_fails_is_one_page_and_the_others_go_on(api, connection, answer, message):
    api.on(PODS_PATH, answer)
    api.on(JOBS_PATH, reply(listed(*items("a"))))
    pages = pages_of(connection, PODS, JOBS)
    assert names(pages, JOBS) == ["a"]
    (failed,) = [page for page in pages if page.resource == PODS]
    assert failed.last
    assert not failed.items
    assert failed.error is not None
    assert message in failed.error.message


def test_a_bug_in_a_worker_comes_out_where_the_pages_are_taken(api, connection, monkeypatch):
    def bug(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(listing, "_parts", bug)
    api.on(PODS_PATH, reply(listed()))
    with pytest.raises(RuntimeError, match="a bug"):
        pages_of(connection, PODS)
    wait_for_the_end_of_workers()


# -- what waits is not decoded ---------------------------------------------------------------------


def custom(*bodies, then=""):
    """A page as the API server writes it for custom resources: keys sorted, metadata last."""
    metadata = {"continue": then, "resourceVersion": "100"}
    return {"apiVersion": "x.io/v1", "items": list(bodies), "kind": "XList", "metadata": metadata}


def test_a_page_is_decoded_by_whoever_takes_it(api, connection, monkeypatch):
    decoding, parts = [], listing._parts

    def noting(*arguments):
        decoding.append(threading.current_thread())
        return parts(*arguments)

    monkeypatch.setattr(listing, "_parts", noting)
    api.on(PODS_PATH, reply(listed(*items("a"), then="1")), reply(listed(*items("b"))))
    api.on(JOBS_PATH, reply(custom(*items("c"), then="1")), reply(custom(*items("d"))))
    pages = pages_of(connection, PODS, JOBS)
    assert (names(pages), names(pages, JOBS)) == (["a", "b"], ["c", "d"])
    assert set(decoding) == {threading.current_thread()}


def unusual(*bodies, then=""):
    """A page as no API server that we know writes it."""
    return {"items": list(bodies), "metadata": {"continue": then, "nested": {}}}


@pytest.mark.parametrize("form", [listed, custom, unusual])
def test_what_an_item_says_is_not_the_metadata_of_the_list(api, connection, form):
    nested = {"kind": "List", "apiVersion": "v1", "metadata": {"continue": "no"}, "items": []}
    text_of_one = '],"kind":"XList","metadata":{"continue":"no"}}'
    odd = {"metadata": {"name": "a"}, "spec": nested, "z": text_of_one}
    api.on(PODS_PATH, reply(form(odd, then="1")), reply(form(odd)))
    pages = pages_of(connection, PODS)
    assert names(pages) == ["a", "a"]
    assert api.requests[1].query["continue"] == "1"


def test_a_page_that_is_broken_behind_its_metadata_is_an_error(api, connection):
    head = '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"a":'
    api.on(PODS_PATH, text(200, head))
    api.on(JOBS_PATH, reply(listed(*items("a"))))
    pages = pages_of(connection, PODS, JOBS)
    assert names(pages, JOBS) == ["a"]
    (failed,) = [page for page in pages if page.resource == PODS]
    assert failed.last
    assert failed.error is not None
    assert "the answer is not JSON" in failed.error.message


# -- the end of workers ----------------------------------------------------------------------------


def endless(request):
    return reply(listed(*items("a"), then=request.query.get("continue", "") + "x"))


def test_a_consumer_that_stops_early_ends_the_workers(api, connection):
    for path in (PODS_PATH, JOBS_PATH):
        api.on(path, endless)
    pages = list_pages(connection, [ListRequest(PODS), ListRequest(JOBS)])
    next(pages)
    assert len(list_threads()) == 2
    pages.close()
    wait_for_the_end_of_workers()


def test_stopping_does_not_wait_for_a_server_that_hangs(api, connection):
    release = threading.Event()
    api.on(PODS_PATH, reply(listed(*items("a"), then="1")), Answer(wait_for=release))
    pages = list_pages(connection, [ListRequest(PODS)])
    next(pages)
    api.wait_until_asked(PODS_PATH, times=2)
    pages.close()
    assert list_threads()
    release.set()
    wait_for_the_end_of_workers()


def test_pages_do_not_pile_up_before_a_slow_consumer(api, connection):
    api.on(PODS_PATH, endless)
    pages = list_pages(connection, [ListRequest(PODS)])
    next(pages)
    most = 2 * AT_ONCE
    # Taken, in the queue, and one in the hand of the worker.
    api.wait_until_asked(PODS_PATH, times=most + 2)
    (worker,) = list_threads()
    worker.join(0.2)
    assert len(api.requests) == most + 2
    pages.close()
    wait_for_the_end_of_workers()
