"""Who works at the sample application's servers, found beside the users whom the settings name.

The replica keeps each user's secret in a file of its own, `SERVER.USER`. The settings are Steward's: they name the user
who re-encrypts, and the users who may change vault and keyring.
"""

from __future__ import annotations

from pathlib import Path

from replica.servers.keyvault import client_id
from steward.clients.postgres import Database
from steward.errors import BadInput
from steward.settings import Application, Keyring, Settings, Vault

APPLICATION = "customers"
OWNER, ROTATOR = "customers", "customers_rotator"
_READER = "keyring_reader"


class NoCustomers(BadInput):
    """The settings lack a server of the sample application."""


def rotator(settings: Settings) -> Application:
    """The database as whoever re-encrypts it has it. Raises NoCustomers."""
    found = settings.applications.get(APPLICATION)
    if found is None:
        raise NoCustomers(
            f"the settings name no [applications.{APPLICATION}]", hint="bring the replica up; it writes it"
        )
    return found


def owner(settings: Settings) -> Application:
    """The database as the application has it. Raises NoCustomers."""
    told = rotator(settings)
    url = told.url.replace(f"//{ROTATOR}@", f"//{OWNER}@")
    return told.model_copy(update={"url": url, "password": _beside(told.password, OWNER)})


def database(told: Application, settings: Settings) -> Database:
    """For `steward.clients.postgres.connect`."""
    return Database(f"applications.{APPLICATION}", "public", told.url, told.password, settings.vault)


def steward_keys(settings: Settings) -> tuple[Vault, Keyring]:
    """Vault and keyring for who enrols tenants. Raises NoCustomers."""
    if settings.vault is None or settings.keyring is None:
        raise NoCustomers("the settings have no [vault], or no [keyring]", hint="start postgres and keyvault")
    return settings.vault, settings.keyring


def application_keys(settings: Settings) -> tuple[Vault, Keyring]:
    """The same for the application, which may read and unwrap, and nothing else. Raises NoCustomers."""
    vault, keyring = steward_keys(settings)
    identity = {"client_id": client_id("application"), "client_secret": _beside(vault.client_secret, "application")}
    reading = {
        "url": keyring.url.replace("//keyring@", f"//{_READER}@"),
        "password": _beside(keyring.password, _READER),
    }
    return vault.model_copy(update=identity), keyring.model_copy(update=reading)


def _beside(reference: str | None, user: str) -> str:
    file = Path((reference or "").removeprefix("file:"))
    return f"file:{file.with_name(file.name.split('.')[0] + '.' + user)}"
