"""One file a verb, independent of each other; each reads top to bottom: gather, compute, act.

A workflow takes plain values, emits events and returns a result; it prints nothing and knows no
flags.
"""
