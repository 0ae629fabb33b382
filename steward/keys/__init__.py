"""Decisions on tenants' keys: what a rotation, an erasure and an audit ask for, look at and conclude."""
