"""How much of a manifest we read before we refuse it. Pure data.

Each limit is far above what an API server can store and far below what hurts us, so that a
hostile or broken file costs a second and an error, not the machine.
"""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 4 << 20
"""Bytes of one document. An API server takes requests of 3 MiB and etcd values of 1.5 MiB
(https://etcd.io/docs/v3.6/dev-guide/limit/); block style adds indentation."""

MAX_FILE_BYTES: Final = 32 << 20
"""Bytes of a file of several documents: the largest bundles of CRDs are about 10 MB."""

MAX_DOCUMENTS: Final = 10_000
"""Documents in one file; more than a whole cluster usually holds."""

MAX_DEPTH: Final = 200
"""Maps and lists within each other. Pod templates inside a CRD's schema reach about 60."""

MAX_NODES: Final = 500_000
"""Values in one document, aliases expanded: 4 MiB hold about that many in real manifests."""

MAX_LINE_WORK: Final = 10_000_000_000
"""Values of a document times the bytes of its longest line: to find their places takes the reader
time in proportion to both. A manifest with a dashboard in one line of 1 MB has a hundred values."""

MAX_ALIASES: Final = 10_000
"""References to anchors in one document."""

MAX_KEY_CHARACTERS: Final = 1000
"""Characters of one written key: YAML readers look for its colon within 1024
(https://yaml.org/spec/1.2.2/#742-flow-mappings)."""
