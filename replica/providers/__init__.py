"""Deterministic stand-ins ("twins") of two AI providers: inference, limits, keys, bills, and the truth about all of it.

They share no code with what they judge: own token counts, own sliding log, own prices, own arithmetic.
"""
