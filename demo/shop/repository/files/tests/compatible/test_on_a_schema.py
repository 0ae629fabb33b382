"""What this release needs of its tables, on the schema of whichever release comes after it."""

import os

import psycopg


def test_a_product_is_put_into_a_basket_and_found_there():
    with psycopg.connect(os.environ["DATABASE_URL"]) as db:
        db.execute("INSERT INTO products (id, name, description, price_cents) VALUES (2000000001, 'a', 'b', 1)")
        db.execute("INSERT INTO baskets (owner, product, quantity) VALUES ('somebody', 2000000001, 2)")
        found = db.execute("SELECT quantity FROM baskets WHERE owner = 'somebody'").fetchall()
        db.rollback()
    assert found == [(2,)]
