"""Finds what is packed into a text: base64, compressed base64, escaped characters. Pure.

Only what is worth it is unpacked: base64 that has one of the given words in it, which shows without
decoding, and whatever begins as gzip does.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice

LARGEST = 2 << 20
"""Bytes of one packed part that are unpacked; more than an object in etcd can have."""

Encodings = tuple[tuple[bytes, int], ...]
"""What a word looks like in base64, and where in a group of four characters that begins."""

_GZIP = b"H4sI"
"""How base64 of gzip begins (RFC 1952: 1f 8b 08, and flags below 64)."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CLASSES = bytes(ord("a" if byte in _ALPHABET else " ") for byte in range(256))
_SHORTEST = b"a" * 40
"""Nothing that is worth a look is shorter; and few other texts have so long a word."""

_RUN = re.compile(rb"[A-Za-z0-9+/]*+")
_BREAK = re.compile(rb"\\[nr]|\s+")
"""Where a line ends, in JSON within JSON and YAML too."""
_NEXT = re.compile(rb"(?:\\[nr]|\s)+[A-Za-z0-9+/]{20}")
_LINE_END = b"a" * 64 + b" "
"""No tool breaks base64 into shorter lines (RFC 7468, RFC 2045)."""

_ESCAPE = re.compile(rb"\\(?:u00|U000000|x)([0-7][0-9A-Fa-f])")
_MOST = 32
"""Packed parts of one text that are unpacked."""


def encodings(*words: bytes) -> Encodings:
    """What each word looks like in base64, for each of the three places that it can begin at.

    The characters that depend on what stands beside the word are left out. A word has at least
    five bytes.
    """
    found = []
    for word in words:
        for before, begin in ((0, 0), (1, 2), (2, 3)):
            whole = (before + len(word)) // 3 * 4
            found.append((base64.b64encode(bytes(before) + word)[begin:whole], begin))
    return tuple(found)


def unescaped(data: bytes) -> bytes:
    """The text with ASCII characters in place of escapes, as JSON and YAML have them."""
    if b"\\" not in data:
        return data
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), data)


def unpacked(data: bytes, wanted: Encodings) -> Iterator[bytes]:
    """Yield what is packed into ``data`` and has one of the words in it, or was compressed.

    A part is at most ``LARGEST`` bytes, and there are at most 32.
    """
    classes = data.translate(_CLASSES)
    if _SHORTEST not in classes:
        return iter(())
    found = _parts(data, wanted)
    if _is_broken(data, classes):
        found = chain(found, _parts(_BREAK.sub(b"", data), wanted))
    return islice(found, _MOST)


def _is_broken(data: bytes, classes: bytes) -> bool:
    """Whether there is base64 in several lines. Joined, what stands after it becomes its end."""
    place = classes.find(_LINE_END)
    while place >= 0:
        place += len(_LINE_END) - 1
        if _NEXT.match(data, place):
            return True
        place = classes.find(_LINE_END, place)
    return False


def _parts(data: bytes, wanted: Encodings) -> Iterator[bytes]:
    for word, begin in wanted:
        for place, end in _places(data, word):
            start = max(0, place - LARGEST)
            before = data[start:place]
            ahead = len(before) - len(before.rstrip(_ALPHABET))
            # From the first whole group of four before the word.
            yield _decoded(data[place - ahead + (ahead - begin) % 4 : end])
    for place, end in _places(data, _GZIP):
        with suppress(zlib.error):
            yield zlib.decompressobj(wbits=31).decompress(_decoded(data[place:end]), LARGEST)


def _places(data: bytes, word: bytes) -> Iterator[tuple[int, int]]:
    """Where a word is, and where the base64 from there on ends; one place for each such text."""
    place = data.find(word)
    while place >= 0:
        found = _RUN.match(data, place, place + LARGEST)
        end = found.end() if found else place + len(word)
        yield place, end
        place = data.find(word, end)


def _decoded(text: bytes) -> bytes:
    whole = text[:-1] if len(text) % 4 == 1 else text
    return base64.b64decode(whole + b"=" * (-len(whole) % 4))
