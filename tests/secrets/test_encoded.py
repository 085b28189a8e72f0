"""What is packed into a text is found, whatever stands around it, and within bounds."""

import base64
import gzip

from hypothesis import example, given
from hypothesis import strategies as st

from gitops_dr.secrets.encoded import LARGEST, encodings, unescaped, unpacked

WORD = b"PRIVATE KEY"
WANTED = encodings(WORD)
# Whatever stands around it in a file, and is no base64 itself.
EDGES = st.sampled_from([b"", b"key: ", b'"', b"'", b"- ", b"=", b"\n", b"\\n", b"a/b/", b" = "])


@given(st.binary(max_size=200), st.binary(min_size=20, max_size=200), EDGES, EDGES)
def test_a_word_is_found_in_base64_wherever_it_stands(before, after, left, right) -> None:
    packed = base64.b64encode(before + WORD + after)
    parts = list(unpacked(left + packed + right, WANTED))
    assert any(WORD in part for part in parts)


@given(st.binary(min_size=90, max_size=400), st.sampled_from([64, 76]), st.booleans())
@example(b"a" * 90, 76, True)
def test_a_text_of_several_lines_is_joined(before, width, in_json) -> None:
    packed = base64.b64encode(before + b"\n" + WORD + b"\n" + before)
    lines = [packed[at : at + width] for at in range(0, len(packed), width)]
    text = (b"\\n" if in_json else b"\n    ").join(lines)
    assert any(WORD in part for part in unpacked(b"key: |\n    " + text + b"\nb: c\n", WANTED))


@given(st.binary(max_size=2000))
def test_what_was_compressed_is_unpacked(data) -> None:
    data = bytes(range(60)) + data
    packed = base64.b64encode(gzip.compress(data))
    assert data in list(unpacked(b"a: " + packed + b"\n", WANTED))
    assert data in list(unpacked(b'{"a":"' + packed.rstrip(b"=") + b'","b":1}', WANTED))


@given(st.binary(), st.sampled_from([b"", b"H4sI" * 20, b"UFJJVkFURSBLRVkt" * 4]))
def test_any_bytes_give_few_parts_of_bounded_size(data, piece) -> None:
    parts = list(unpacked(piece + data + piece, WANTED))
    assert len(parts) <= 32
    assert all(len(part) <= LARGEST for part in parts)


def test_ever_so_many_parts_are_not_all_unpacked() -> None:
    one = base64.b64encode(b"x" * 40 + WORD)
    assert len(list(unpacked(b"\n".join([one] * 1000), WANTED))) == 32


def test_of_what_unpacks_without_end_only_a_part_is_unpacked() -> None:
    bomb = base64.b64encode(gzip.compress(bytes(8 * LARGEST)))
    assert [len(part) for part in unpacked(bomb, WANTED)] == [LARGEST]


def test_what_is_no_gzip_after_all_is_nothing() -> None:
    assert list(unpacked(b"H4sI" + b"/" * 80, WANTED)) == []


def test_nothing_of_it_is_nothing() -> None:
    assert list(unpacked(b"PRIVATE KEY in a sentence, and " + b"a" * 100, WANTED)) == []


def test_escapes_of_json_and_yaml_are_undone() -> None:
    assert unescaped(rb"\u0053ecret \x53ecret \U00000053ecret") == b"Secret Secret Secret"
    assert unescaped(rb"\u00e9 \xe9 \n \u12") == rb"\u00e9 \xe9 \n \u12"
