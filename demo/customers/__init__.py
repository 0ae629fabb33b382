"""The sample application with encrypted columns: Starlette, SQLAlchemy's asyncio, psycopg, uvicorn.

What an application with tenants has: signed sessions, roles, customers with their orders, a search, an audit trail,
validated input, an access log. The twin with plain columns, with which a bench compares it, differs in two things: the
class `Customer`, and the middleware that binds the tenant.

What a developer would write: `tables`, `models`, `bodies`, `authentication`, `problems`, `application`. The rest starts
it, lays and fills its tables, asks it, and checks that it lost nothing.
"""
