"""The twins of AI providers, for all tests of the package."""

from tests.testbed.providers.conftest import running, twins

__all__ = ["running", "twins"]
