"""`POST /v1/embeddings`: `encoding_format` float or base64 (which the SDK asks for by itself)."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from replica.providers import composing
from replica.providers.api import Event, Request, Served
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange
from replica.providers.fields import Fields
from replica.providers.openai import errors
from replica.providers.openai.api import OpenAi, read_body, read_model
from replica.providers.prompt_cache import Block

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
_MOST_INPUTS = 2048


class Embeddings(OpenAi):
    """The endpoint."""

    endpoint = "embeddings"

    def read(self, exchange: Exchange, content: bytes) -> Request:
        """Refusal 400 or 404 for what cannot be served."""
        del exchange
        body = read_body(content)
        model = read_model(body)
        if not model.embedding:
            raise Refusal(403, "You are not allowed to generate embeddings from this model", param="model")
        fields = Fields(body, errors.invalid_type)
        dimensions = fields.whole("dimensions")
        if dimensions is not None and not 1 <= dimensions <= _DIMENSIONS[model.name]:
            raise errors.invalid_value("dimensions", f"Invalid value for 'dimensions' = {dimensions}.")
        if fields.text("encoding_format") not in {"", "float", "base64"}:
            raise errors.invalid_value("encoding_format", "Supported values are: 'float' and 'base64'.")
        blocks = [Block(b"", composing.count(_bytes(each))) for each in _inputs(body)]
        return Request(body=body, model=model, stream=False, most=None, blocks=blocks)

    def answer(self, served: Served) -> dict[str, Any]:
        """`list` of `embedding`."""
        body = served.request.body
        dimensions = body.get("dimensions") or _DIMENSIONS[served.request.model.name]
        asked = {"model": served.request.model.name, "dimensions": dimensions}
        data: list[dict[str, Any]] = []
        for index, each in enumerate(_inputs(body)):
            drawn = composing.digest(served.seed, {**asked, "input": each})
            vector = _encoded(composing.vector(drawn, dimensions), str(body.get("encoding_format", "float")))
            data.append({"object": "embedding", "index": index, "embedding": vector})
        total = served.split.total
        usage = {"prompt_tokens": total, "total_tokens": total}
        return {"object": "list", "data": data, "model": served.request.model.name, "usage": usage}

    def events(self, served: Served) -> list[Event]:
        """Never streamed."""
        raise NotImplementedError(served.request.model.name)


def _inputs(body: dict[str, Any]) -> list[Any]:
    """Texts or lists of tokens; a single one stands for a list of itself."""
    given = body.get("input")
    if given is None:
        raise errors.missing("input")
    single = isinstance(given, str) or (isinstance(given, list) and bool(given) and isinstance(given[0], int))
    inputs = [given] if single else given
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= _MOST_INPUTS or any(each in ("", []) for each in inputs):
        raise Refusal(
            400, "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        )
    return inputs


def _bytes(given: Any) -> bytes:
    # Four bytes a token, so that a list of tokens counts as many as it has.
    return (
        given.encode()
        if isinstance(given, str)
        else bytes(4 * len(given))
        if isinstance(given, list)
        else msgspec.json.encode(given)
    )


def _encoded(vector: list[float], encoding: str) -> Any:
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector
