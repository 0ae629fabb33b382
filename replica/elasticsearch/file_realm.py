"""Elasticsearch's file realm: `users` (name:bcrypt hash) and `users_roles` (role:name,name), as texts.

The replica's only realm: `.security`, which native users need, cannot be made from the published jars.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import bcrypt

# The least bcrypt allows: passwords here have 192 random bits, so stretching adds only waiting to every start.
_ROUNDS = 4


def users(existing: str, passwords: Mapping[str, str]) -> str:
    """*existing* with each of *passwords* in force: a hash that already fits is kept, other users are left alone."""
    hashes = dict(line.split(":", 1) for line in existing.splitlines() if ":" in line)
    for name, password in passwords.items():
        if not _fits(password, hashes.get(name, "")):
            hashes[name] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS, b"2a")).decode()
    return "".join(f"{name}:{hashed}\n" for name, hashed in sorted(hashes.items()))


def users_roles(existing: str, roles: Mapping[str, Collection[str]]) -> str:
    """*existing* with exactly *roles* (user → roles) for those users; other users keep theirs."""
    held = {
        (role, name)
        for role, _, names in (line.partition(":") for line in existing.splitlines())
        for name in names.split(",")
        if name and name not in roles
    }
    held |= {(role, name) for name, names in roles.items() for role in names}
    by_role = {role: sorted(name for other, name in held if other == role) for role, _ in sorted(held)}
    return "".join(f"{role}:{','.join(names)}\n" for role, names in by_role.items())


def _fits(password: str, hashed: str) -> bool:
    return bool(hashed) and bcrypt.checkpw(password.encode(), hashed.encode())
