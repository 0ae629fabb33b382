from tests.nights import fresh, ground

__all__ = ["fresh", "ground"]
