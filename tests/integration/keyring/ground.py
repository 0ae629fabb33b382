"""What is asked of the keys of a tenant."""

from __future__ import annotations


def states(keys):
    return [one.state for one in keys.generations]


def key_of(keys, number=1):
    return keys.generations[number - 1].key_id
