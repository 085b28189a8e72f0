"""Manifests as text: written in one canonical form, read as kubectl reads them. Pure.

``emit`` writes, ``parse`` reads, ``edit`` changes a file that a person has laid out, ``path`` says
where a manifest is kept, ``fieldpath`` names a place inside one. The format is specified in
``docs/format.md``.
"""
