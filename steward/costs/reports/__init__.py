"""Providers' reports of usage and costs: what is asked, and the pages read as the two sides of a bill."""
