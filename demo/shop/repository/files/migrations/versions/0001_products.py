"""Products, and baskets of them."""

from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE products (id integer PRIMARY KEY, name text NOT NULL, description text NOT NULL,"
        " price_cents integer NOT NULL CHECK (price_cents > 0))"
    )
    op.execute(
        "CREATE TABLE baskets (owner text NOT NULL CHECK (octet_length(owner) <= 200),"
        " product integer NOT NULL REFERENCES products, quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 99),"
        " PRIMARY KEY (owner, product))"
    )


def downgrade() -> None:
    op.execute("DROP TABLE baskets")
    op.execute("DROP TABLE products")
