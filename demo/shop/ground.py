"""The shop's tables and products, laid by their owner; what the application may: read products, keep baskets."""

from __future__ import annotations

from psycopg import sql

from demo.shop.settings import ShopSettings
from steward.clients.postgres import Database, connect

READER = "shop_reader"

_ADJECTIVES = "amber bold brisk calm clear coastal copper deep early fine gentle golden grand light little mellow plain quiet rustic silver".split()  # noqa: SIM905  easier to read
_STUFFS = "ash bamboo birch brass canvas cedar ceramic clay cork cotton felt flax glass leather linen marble oak paper steel wool".split()  # noqa: SIM905  as above
_THINGS = "basket bowl chair desk jug kettle lamp mirror shelf vase".split()  # noqa: SIM905  as above

#: What users search for: each finds hundreds.
WORDS = (*_ADJECTIVES, *_STUFFS, *_THINGS)
PRODUCTS = len(_ADJECTIVES) * len(_STUFFS) * len(_THINGS)

#: Two that lay it at once take turns.
_TURN = 7_238_516_010


def lay(settings: ShopSettings) -> None:
    """Create what is missing and grant it. Harmless twice, and at the same time."""
    database = Database("shop", "public", settings.owner.url, settings.owner.password, None)
    with connect(database) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])
        for statement in (_PRODUCTS, *_INDEXES, _BASKETS):
            connection.execute(statement)
        connection.execute(_SEED, {"adjectives": _ADJECTIVES, "stuffs": _STUFFS, "things": _THINGS})
        connection.execute("ANALYZE products")
        for grant in _GRANTS:
            connection.execute(sql.SQL(grant).format(sql.Identifier(READER)))


_PRODUCTS = """
CREATE TABLE IF NOT EXISTS products (
    id integer PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', name || ' ' || description)) STORED
)
"""

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS products_words ON products USING gin (words)",
    "CREATE INDEX IF NOT EXISTS products_name ON products (name)",
)

_BASKETS = """
CREATE TABLE IF NOT EXISTS baskets (
    owner text NOT NULL CHECK (octet_length(owner) <= 200),
    product integer NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    PRIMARY KEY (owner, product)
)
"""

_SEED = """
INSERT INTO products (id, name, description, price_cents)
SELECT number, initcap(adjective) || ' ' || stuff || ' ' || thing,
       'This ' || adjective || ' ' || thing || ' is made of ' || stuff || ' by hand.', 500 + (number * 7919) %% 20000
FROM (
    SELECT (a.place - 1) * cardinality(%(stuffs)s::text[]) * cardinality(%(things)s::text[])
           + (s.place - 1) * cardinality(%(things)s::text[]) + t.place AS number, adjective, stuff, thing
    FROM unnest(%(adjectives)s::text[]) WITH ORDINALITY AS a (adjective, place),
         unnest(%(stuffs)s::text[]) WITH ORDINALITY AS s (stuff, place),
         unnest(%(things)s::text[]) WITH ORDINALITY AS t (thing, place)
) named
ON CONFLICT DO NOTHING
"""

_GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {}",
    "GRANT SELECT ON products TO {}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON baskets TO {}",
)
