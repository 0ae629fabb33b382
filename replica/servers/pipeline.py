"""What the replica's settings say of the pipeline, whichever of its servers has a part in it."""

from __future__ import annotations

from typing import Any

from replica.server import Place

#: May create databases, and owns nothing that anybody needs: code of repositories logs in as it.
USER = "pipeline"


def pipeline(place: Place, **more: Any) -> dict[str, Any]:
    """`[pipeline]` with *more* in it: folder and database are the same for all."""
    url = f"postgresql://{USER}@127.0.0.1:{place.client_port('postgres', 'sql')}/{USER}"
    return {
        "pipeline": {
            "folder": str(place.state / "pipeline"),
            "database": {"url": url, "password": place.secret_ref(f"postgres.{USER}")},
            **more,
        }
    }
