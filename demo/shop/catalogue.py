"""Products and baskets: two searches that find the same things in two ways, and what a user puts by."""

from __future__ import annotations

from typing import Any

from demo.shop.pool import Pool, Rows

_MOST = 20
_COLUMNS = "id, name, price_cents"
#: Letters that LIKE reads otherwise.
_LITERAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


async def search_by_letters(pool: Pool, text: str) -> list[dict[str, Any]]:
    """The old one: whatever has these letters, by name."""
    like = f"%{text.translate(_LITERAL)}%"
    return _products(await pool.ask(_BY_LETTERS, like, like))


async def search_by_words(pool: Pool, text: str) -> list[dict[str, Any]]:
    """The new one: whatever has these words, the best first."""
    return _products(await pool.ask(_BY_WORDS, text))


async def product(pool: Pool, number: int) -> dict[str, Any] | None:
    """One, with its description."""
    rows = await pool.ask(_ONE, number)
    return {"description": rows[0][3], **_products(rows)[0]} if rows else None


async def basket(pool: Pool, owner: str) -> list[dict[str, Any]]:
    """What *owner* put by."""
    return [{"quantity": row[3], **_product(row)} for row in await pool.ask(_BASKET, owner)]


async def put_by(pool: Pool, owner: str, number: int, quantity: int) -> bool:
    """So many of it are in the basket now; False where there is no such product."""
    return bool(await pool.ask(_PUT_BY, owner, quantity, number))


def _products(rows: Rows) -> list[dict[str, Any]]:
    return [_product(row) for row in rows]


def _product(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"id": row[0], "name": row[1], "price_cents": row[2]}


_BY_LETTERS = f"SELECT {_COLUMNS} FROM products WHERE name ILIKE %s OR description ILIKE %s ORDER BY name LIMIT {_MOST}"  # noqa: S608  constants

_BY_WORDS = f"""
SELECT {_COLUMNS} FROM products, plainto_tsquery('simple', %s) asked
WHERE words @@ asked ORDER BY ts_rank(words, asked) DESC, id LIMIT {_MOST}
"""  # noqa: S608  constants

_ONE = f"SELECT {_COLUMNS}, description FROM products WHERE id = %s"  # noqa: S608  constants

_BASKET = """
SELECT p.id, p.name, p.price_cents, b.quantity FROM baskets b JOIN products p ON p.id = b.product
WHERE b.owner = %s ORDER BY p.id LIMIT 100
"""

_PUT_BY = """
INSERT INTO baskets (owner, product, quantity) SELECT %s, id, %s FROM products WHERE id = %s
ON CONFLICT (owner, product) DO UPDATE SET quantity = EXCLUDED.quantity RETURNING product
"""
