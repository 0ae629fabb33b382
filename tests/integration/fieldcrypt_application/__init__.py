"""An application with encrypted columns: Starlette, SQLAlchemy's asyncio, psycopg, uvicorn.

As small as an application can be that has tenants, customers, and a search for them; its twin with plain columns is what
a bench compares it with. `models` and `application` are what a developer would write; the rest starts and asks it.
"""
