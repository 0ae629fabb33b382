"""What every application has, in both twins alike: sessions, roles, input that is checked, a trail; and the customer's page."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import httpx
import jwt
import pytest
import sqlalchemy as sa

from demo.customers.authentication import AUDIENCE, ISSUER, Caller, session_token
from demo.customers.deployment import deployment, serving
from demo.customers.models import Customer
from demo.customers.plain import PlainCustomer
from demo.customers.rows import ORDERS, add_members, add_orders
from demo.customers.site import Site
from demo.customers.tables import AuditEntry, Base, Order
from replica import inventory
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.settings import load, read_secret
from tests.integration.fresh_application import fresh_application
from tests.integration.fresh_keyring import fresh_keyring

pytestmark = pytest.mark.without_search

TENANT, OTHER = "acme", "globex"
SECRET = "hidden-word"
CUSTOMER = {"plan": "gold", "email": "ada@example.net", "born": "1815-12-10", "notes": "letters only"}


@pytest.fixture(scope="module")
def described(replica):
    settings = load(inventory.settings_file(replica))
    with fresh_application(settings) as application, fresh_keyring(application) as both:
        with open_vault(both.vault) as vault, open_keyring(both.keyring) as keyring:
            for tenant in (TENANT, OTHER):
                keyring.enrol(tenant, vault)
        yield both


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def engine(described, secrets):
    engine = sa.create_engine(deployment(described, secrets).url())
    Base.metadata.create_all(engine)
    add_members(engine, [TENANT, OTHER])
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=["encrypted", "plain"])
def model(request):
    return {"encrypted": Customer, "plain": PlainCustomer}[request.param]


@pytest.fixture(scope="module")
def told(described, secrets, model):
    return deployment(described, secrets, encrypted=model is Customer)


@pytest.fixture(scope="module")
def log(model, tmp_path_factory):
    return tmp_path_factory.mktemp(model.__name__) / "log"


@pytest.fixture(scope="module")
def site(told, engine, log):
    with serving(told, log) as served:
        yield Site(served.url, told)


@pytest.fixture
def customer(site):
    return site.ask("POST", "/customers", TENANT, json=CUSTOMER).json()


def written(engine, model):
    """How many rows there are, and how many entries in the trail."""
    with engine.connect() as connection:
        return [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in (model, AuditEntry)]


def problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_a_customers_page_has_the_ten_latest_orders(site, engine, customer):
    with engine.begin() as connection:
        connection.execute(sa.delete(Order))
    other = site.ask("POST", "/customers", TENANT, json=CUSTOMER).json()
    add_orders(engine, TENANT, [customer["id"], other["id"]])
    page = site.get(f"/customers/{customer['id']}", TENANT, "bob").json()
    orders = page.pop("orders")
    assert page == customer == {"id": customer["id"], **CUSTOMER}
    assert [order["number"] for order in orders] == list(range(2 * ORDERS - 1, ORDERS, -2))
    assert all(one["placed_on"] > other["placed_on"] for one, other in pairwise(orders))
    assert (orders[0]["status"], Decimal(orders[0]["total"])) == ("returned", Decimal("14.43"))


def test_an_address_is_found_in_whatever_case_it_is_written(site):
    created = site.ask("POST", "/customers", OTHER, json={"email": " Grace@Example.NET "}).json()
    assert created["email"] == "grace@example.net"
    assert created["id"] in {row["id"] for row in site.search(OTHER, "GRACE@example.net").json()}


def test_a_reader_reads_and_searches_and_does_not_write(site, engine, model, customer):
    before = written(engine, model)
    assert site.get(f"/customers/{customer['id']}", TENANT, "bob").is_success
    assert customer in site.search(TENANT, customer["email"], "bob").json()
    problem(site.ask("POST", "/customers", TENANT, "bob", json=CUSTOMER), 403)
    problem(site.ask("PATCH", f"/customers/{customer['id']}", TENANT, "bob", json={"plan": "free"}), 403)
    assert written(engine, model) == before


def test_who_is_no_member_of_the_tenant_is_refused_everything(site, engine, model, customer):
    before = written(engine, model)
    for method, path, body in (
        ("GET", "/customers", None),
        ("GET", f"/customers/{customer['id']}", None),
        ("POST", "/customers", CUSTOMER),
        ("PATCH", f"/customers/{customer['id']}", {"plan": "free"}),
        ("POST", "/customers/search", {"email": customer["email"]}),
    ):
        assert "ada@" not in json.dumps(problem(site.ask(method, path, TENANT, "mallory", json=body), 403))
    assert written(engine, model) == before


def test_a_row_of_another_tenant_is_neither_read_nor_changed(site, customer):
    path = f"/customers/{customer['id']}"
    problem(site.get(path, OTHER), 404)
    problem(site.ask("PATCH", path, OTHER, json={"plan": "free"}), 404)
    assert customer["id"] not in {row["id"] for row in site.search(OTHER, customer["email"]).json()}
    assert site.get(path, TENANT).json()["plan"] == "gold"


def forged(**claims):
    """A token as a login makes it, but for *claims*; None leaves one out."""

    def make(key):
        good = jwt.decode(session_token(key, Caller("ada", TENANT)), key, ["HS256"], audience=AUDIENCE)
        return jwt.encode({name: value for name, value in (good | claims).items() if value is not None}, key)

    return make


def unsigned(key):
    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": 2**40, "sub": "ada", "tenant": TENANT}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in ({"alg": "none"}, claims)]
    return b".".join((*parts, b"")).decode()


TOKENS = {
    "of another key": lambda key: session_token(key[::-1], Caller("ada", TENANT)),
    "expired": lambda key: session_token(key, Caller("ada", TENANT), timedelta(seconds=-1)),
    "for another audience": forged(aud="https://elsewhere.example"),
    "by another issuer": forged(iss="https://elsewhere.example"),
    "for ever": forged(exp=None),
    "of nobody": forged(sub=None),
    "of no tenant": forged(tenant=None),
    "unsigned": unsigned,
    "no token": lambda _: "ada",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_session_that_this_application_did_not_open_is_refused(site, told, engine, token):
    headers = {"authorization": f"Bearer {token(read_secret(told.session_key))}"}
    answer = httpx.get(f"{site.url}/customers", headers=headers, timeout=60)
    assert problem(answer, 401)["detail"] == "The session is not valid, or no longer."
    assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{site.url}/customers", headers=site.session(TENANT), timeout=60).status_code == 200


def test_without_a_session_even_paths_that_there_are_not_say_401(site):
    for path in ("/customers", "/nowhere"):
        assert problem(httpx.get(f"{site.url}{path}", timeout=60), 401)["detail"] == "This needs a session."


BODIES = {
    "no address": (CUSTOMER | {"email": SECRET}, ["/email"]),
    "no date": (CUSTOMER | {"born": SECRET}, ["/born"]),
    "a plan that there is not": (CUSTOMER | {"plan": SECRET}, ["/plan"]),
    "notes that are no text": (CUSTOMER | {"notes": [SECRET]}, ["/notes"]),
    "notes that are a book": (CUSTOMER | {"notes": SECRET * 1000}, ["/notes"]),
    "a value in a name's place": (CUSTOMER | {SECRET: 1}, [""]),
    "several at once": ({"email": SECRET, "born": SECRET}, ["/email", "/born"]),
    "nothing": ({}, ["/email"]),
    "no object": ([SECRET], [""]),
}


@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES)
def test_input_is_refused_by_field_and_not_echoed(site, engine, model, log, case):
    body, pointers = case
    before = written(engine, model)
    refused = problem(site.ask("POST", "/customers", TENANT, json=body), 422)
    assert [error["pointer"] for error in refused["errors"]] == pointers
    assert all(error["detail"] for error in refused["errors"])
    assert SECRET not in json.dumps(refused)
    assert SECRET not in log.read_text()
    assert written(engine, model) == before


def test_what_is_no_json_is_refused_for_every_request_with_a_body(site, customer):
    for method, path in (
        ("POST", "/customers"),
        ("PATCH", f"/customers/{customer['id']}"),
        ("POST", "/customers/search"),
    ):
        refused = problem(site.ask(method, path, TENANT, content=SECRET), 422)
        assert [error["pointer"] for error in refused["errors"]] == [""]
        assert SECRET not in json.dumps(refused)


def test_a_change_takes_what_it_names_and_leaves_the_rest(site, customer):
    path = f"/customers/{customer['id']}"
    assert site.ask("PATCH", path, TENANT, json={"notes": None}).json() == customer | {"notes": None}
    assert site.ask("PATCH", path, TENANT, json={}).json() == customer | {"notes": None}
    problem(site.ask("PATCH", path, TENANT, json={"email": None}), 422)


def test_each_write_leaves_who_what_when_and_which_row_in_its_own_transaction(site, engine, model, customer):
    site.ask("PATCH", f"/customers/{customer['id']}", TENANT, json={"notes": "telephones after all"})
    trail = sa.select(AuditEntry.__table__).where(AuditEntry.row_id == customer["id"]).order_by(AuditEntry.at)
    with engine.connect() as connection:
        created, changed = connection.execute(trail).mappings()
        same = connection.exec_driver_sql(
            f"SELECT a.action FROM audit_trail a JOIN {model.__tablename__} c ON c.id = a.row_id"  # noqa: S608
            " AND c.xmin = a.xmin WHERE a.row_id = %s",
            (customer["id"],),
        )
        assert same.scalars().all() == ["change"]
    for entry, action in ((created, "create"), (changed, "change")):
        assert set(entry) == {"id", "at", "tenant_id", "user_id", "action", "row_id"}
        assert (entry["tenant_id"], entry["user_id"], entry["action"]) == (TENANT, "ada", action)
    assert created["at"] < changed["at"]
