"""A small shop that is released behind a flag, and the host that runs its releases.

Two colours of it stand behind a load balancer; the flag `new-search` gives its users the old search or the new one. Releases
are files in `releases/`: each says how its searches do for either kind of users, so that good and bad ones can be rolled out.
"""
