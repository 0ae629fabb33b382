"""The work pools' base job templates, checked for what Prefect ignores and for what safety rests on.

A key that the worker does not know is dropped, a placeholder without a variable becomes nothing: both in silence.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from prefect.workers.process import ProcessJobConfiguration

from deployments.prefect.faults import Fault, nearest, secrets_in, shown
from steward.errors import BadInput

FOLDER = Path(__file__).parents[1] / "work_pools"

_COMMON = frozenset({"command", "env", "labels", "name", "stream_output"})
#: The configuration that each type's worker reads: prefect-docker 0.7 and prefect-kubernetes 0.8 (`job_configuration`),
#: which are installed where their workers run and not here.
KNOWN: Mapping[str, frozenset[str]] = {
    "process": frozenset(ProcessJobConfiguration.model_fields),
    "docker": _COMMON
    | {"auto_remove", "container_create_kwargs", "image", "image_pull_policy", "mem_limit", "memswap_limit"}
    | {"network_mode", "networks", "privileged", "registry_credentials", "volumes"},
    "kubernetes": _COMMON
    | {"annotations", "cluster_config", "job_manifest", "namespace"}
    | {"job_watch_timeout_seconds", "pod_watch_timeout_seconds"},
}

_POD = "job_manifest/spec/template/spec"
_CONTAINER = f"{_POD}/containers/0"
_RETRY = "a run that ended is taken up by its ledger, once, and not by what ran it"
_CLOSED = "a flow needs none of it, and whoever takes a flow over would have it"
#: What no deployment may change, so it stands in the configuration itself and not behind a variable.
REQUIRED: Mapping[str, Mapping[str, tuple[Any, str]]] = {
    "process": {},
    "docker": {
        "privileged": (False, _CLOSED),
        "container_create_kwargs/read_only": (True, _CLOSED),
        "container_create_kwargs/cap_drop": (["ALL"], _CLOSED),
        "container_create_kwargs/security_opt": (["no-new-privileges:true"], _CLOSED),
        "container_create_kwargs/user": ("10001:10001", "the image's own user; as root, a mount is writable again"),
    },
    "kubernetes": {
        "job_manifest/spec/backoffLimit": (0, _RETRY),
        "job_manifest/spec/completions": (1, _RETRY),
        "job_manifest/spec/parallelism": (1, _RETRY),
        f"{_POD}/restartPolicy": ("Never", _RETRY),
        f"{_POD}/automountServiceAccountToken": (False, _CLOSED),
        f"{_POD}/securityContext/runAsNonRoot": (True, _CLOSED),
        f"{_CONTAINER}/name": ("prefect-job", "the worker refuses a manifest whose container is called otherwise"),
        f"{_CONTAINER}/securityContext/readOnlyRootFilesystem": (True, _CLOSED),
        f"{_CONTAINER}/securityContext/allowPrivilegeEscalation": (False, _CLOSED),
        f"{_CONTAINER}/securityContext/capabilities/drop": (["ALL"], _CLOSED),
    },
}
_PLACEHOLDER = re.compile(r"\{\{\s*([^}\s]+)\s*\}\}")


def load(pool_type: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The template for work pools of *pool_type*; BadInput where there is none."""
    path = folder / f"{pool_type}.json"
    if pool_type not in KNOWN or not path.exists():
        raise BadInput(
            f"no template for a work pool of type {pool_type!r}; there are {', '.join(sorted(KNOWN))}",
            hint="make the pool anew with one of these types, or write its template into deployments/work_pools",
        )
    return dict(json.loads(path.read_text()))


def variables(folder: Path = FOLDER) -> set[str]:
    """What a deployment may set in one type of work pool or another; none of a template that cannot be read."""
    found = set[str]()
    for name in KNOWN:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found |= set(json.loads((folder / f"{name}.json").read_text())["variables"]["properties"])
    return found


def check(folder: Path = FOLDER) -> list[Fault]:
    """Every fault of every template in *folder*, in which each known type has one."""
    faults = [_missing(name) for name in sorted(KNOWN) if not (folder / f"{name}.json").exists()]
    for path in sorted(folder.glob("*.json")):
        faults += _file(path)
    return faults


def _missing(name: str) -> Fault:
    return Fault(
        f"{name}.json", "no template", "one for each type of work pool", "take it from the history of this folder"
    )


def _file(path: Path) -> Iterator[Fault]:
    if path.stem not in KNOWN:
        yield Fault(
            path.name, "a type of work pool that is not known here", f"one of {', '.join(sorted(KNOWN))}", _rename(path)
        )
        return
    try:
        template = json.loads(path.read_text())
    except ValueError as error:
        yield Fault(path.name, f"not JSON: {error}", "a base job template", "mend the place that it names")
        return
    if not isinstance(template, dict) or set(template) != {"job_configuration", "variables"}:
        yield Fault(
            path.name, f"keys {sorted(template)}", "job_configuration and variables", "Prefect ignores any other"
        )
        return
    yield from _template(path, template["job_configuration"], template["variables"])


def _rename(path: Path) -> str:
    meant = nearest(path.stem, KNOWN)
    return f"rename it to {meant}.json" if meant else "remove it, or teach templates.py what its worker reads"


def _template(path: Path, configuration: dict[str, Any], variables: dict[str, Any]) -> Iterator[Fault]:
    for key in sorted(set(configuration) - KNOWN[path.stem]):
        meant = nearest(key, KNOWN[path.stem])
        hint = f"did you mean {meant!r}?" if meant else "the worker ignores it"
        yield Fault(f"{path.name} job_configuration", f"unknown key {key!r}", f"what a {path.stem} worker reads", hint)
    yield from _placeholders(path, configuration, variables)
    yield from _variables(path, variables)
    yield from _required(path, configuration)
    for place in secrets_in({"job_configuration": configuration, "variables": variables}):
        where = f"{path.name} {'/'.join(map(str, place))}"
        yield Fault(
            where, "a value that looks like a secret", "none", "mount it as a file: Prefect stores templates in clear"
        )


def _placeholders(path: Path, configuration: dict[str, Any], variables: dict[str, Any]) -> Iterator[Fault]:
    used = set(_PLACEHOLDER.findall(json.dumps(configuration)))
    defined: list[str] = list(variables.get("properties", {}))
    for name in sorted(used - set(defined)):
        meant = nearest(name, defined)
        hint = f"did you mean {meant!r}?" if meant else "define it: Prefect puts nothing in its place and says nothing"
        yield Fault(f"{path.name} job_configuration", f"{{{{ {name} }}}} is not defined", "a variable", hint)
    for name in sorted(set(defined) - used):
        hint = "use it in job_configuration, or remove it: an operator who sets it changes nothing"
        yield Fault(f"{path.name} variables.{name}", "a variable that nothing uses", "none", hint)


def _variables(path: Path, variables: dict[str, Any]) -> Iterator[Fault]:
    try:
        Draft202012Validator.check_schema(variables)
    except SchemaError as error:
        yield Fault(f"{path.name} variables", error.message, "a JSON schema", "see json-schema.org, draft 2020-12")
        return
    for name, field in variables.get("properties", {}).items():
        where = f"{path.name} variables.{name}"
        if not (field.get("title") and field.get("description")):
            yield Fault(where, "no title or no description", "both", "the operator sees this form in the UI")
        for error in Draft202012Validator(field).iter_errors(field["default"]) if "default" in field else ():
            yield Fault(where, f"default: {error.message}", "a default of its own type", "mend the default or the type")
    image = variables.get("properties", {}).get("image")
    if image and _moves(str(image.get("default", ""))):
        hint = "evidence names the code that came to it: use the version's tag or a digest"
        yield Fault(f"{path.name} variables.image", f"default {shown(image.get('default'))}", "a tag that stays", hint)


def _moves(image: str) -> bool:
    """Whether the same name may lead to another image tomorrow."""
    name = image.rpartition("/")[2]
    return not re.search("[:@]", name) or name.endswith(":latest")


def _required(path: Path, configuration: dict[str, Any]) -> Iterator[Fault]:
    for place, (expected, reason) in REQUIRED[path.stem].items():
        seen = _at(configuration, place)
        # `0 == False` in Python, and backoffLimit is a number.
        if seen != expected or type(seen) is not type(expected):
            yield Fault(f"{path.name} job_configuration/{place}", f"saw {shown(seen)}", repr(expected), reason)


def _at(value: Any, place: str) -> Any:
    for step in place.split("/"):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value
