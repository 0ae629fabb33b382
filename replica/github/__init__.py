"""A stand-in for one repository at GitHub: its deployments, its webhook with the deliveries it made, its protection rule.

As GitHub does, it signs each delivery, sends it once, remembers what came of it, and sends it again only when asked to. What it
answers has the shapes of https://docs.github.com/en/rest, API version 2022-11-28.
"""
