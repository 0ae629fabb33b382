"""Other libraries that encrypt fields, in an environment of their own: `make .venv-rivals/.made` from its lock.

Never among the product's dependencies. `python -m bench.rivals` there answers rounds over standard input and output;
nothing here but `bench.fieldcrypt_loops` is ours.
"""
