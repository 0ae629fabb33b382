"""Others, who ask the vault for all that it allows in ten seconds: whoever comes next is told to wait."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from replica.servers.keyvault import _connection, _login
from steward.clients.keyvault_errors import VaultThrottled

#: Each question about a key of this kind takes the largest part of the limit that there is.
_LARGE = {"kty": "RSA-HSM", "key_size": 4096}
_API_VERSION = "7.6"
_ASKED = (("GET", "/keys/of-others", None), ("POST", "/keys/of-others-too/create", {"kty": "EC", "crv": "P-256"}))
_OTHERS, _MOST_BY_EACH = 4, 200


def throttle(place):
    """Until the vault of the replica *place* refuses questions about keys, and new ones."""
    token = _login(place)
    with _connection(place, "vault") as vault:
        if _status(vault, token, *_ASKED[0]) == HTTPStatus.NOT_FOUND:
            _status(vault, token, "POST", "/keys/of-others/create", _LARGE)
    with ThreadPoolExecutor(_OTHERS) as pool:
        for asked in _ASKED:
            others = [pool.submit(_ask_until_throttled, place, token, *asked) for _ in range(_OTHERS)]
            assert any(each.result() for each in others), f"the vault does not throttle {asked[:2]}"


def _ask_until_throttled(place, token, method, path, body):
    with _connection(place, "vault") as vault:
        asked = (_status(vault, token, method, path, body) for _ in range(_MOST_BY_EACH))
        return HTTPStatus.TOO_MANY_REQUESTS in asked


def _status(vault, token, method, path, body):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    vault.request(method, f"{path}?api-version={_API_VERSION}", body and json.dumps(body), headers)
    answer = vault.getresponse()
    answer.read()
    return answer.status


def once_it_does_not_throttle(ask):
    """What *ask* gives, however long others had the vault throttle."""
    while True:
        try:
            return ask()
        except VaultThrottled as busy:
            time.sleep(busy.retry_after_seconds)
