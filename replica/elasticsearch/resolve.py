"""Which jars a home needs: the maintainer's side of the lock, the only place where versions are chosen.

Elasticsearch publishes its server and three modules to Maven Central, but not ready to run: some of what their POMs ask
for is published nowhere, some is in two places at once and would be refused at the start as jar hell.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jgo
from jgo.maven import Artifact

from replica.elasticsearch.lock import LockedJar, sha256_of

VERSION = "9.5.3"

_SERVER = f"org.elasticsearch:elasticsearch:{VERSION}"
_MODULES = ("transport-netty4", "x-pack-core", "x-pack-security")
#: What a module extends; it finds these jars through its parent class loader and must not repeat them.
_EXTENDS = {"x-pack-security": "x-pack-core"}
# x-pack-security asks for opensaml 4.3.0 and java-support 8.4.0, which are published elsewhere than Maven Central. Its
# classes load with these; SAML itself is not used here.
_OPENSAML = ("core", "messaging-api", "profile-api", "saml-api", "saml-impl", "security-api", "soap-api", "xmlsec-api")
_REPLACED = {
    "x-pack-security": (
        "net.shibboleth.utilities:java-support:8.0.0",
        *(f"org.opensaml:opensaml-{part}:4.0.1" for part in _OPENSAML),
    )
}
_UNPUBLISHED = {"x-pack-template-resources", "es-opensaml-security-api", "java-support"}
#: Holds the same classes as jsr305, in the same packages.
_REPEATED = {"jcip-annotations"}


def resolve() -> list[LockedJar]:
    """Every jar of the home with the SHA-256 of what the registry gives now. Needs the network."""
    wanted = _placements()
    with ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(lambda artifact: sha256_of(artifact.resolve()), (found for _, found in wanted)))
    return sorted(
        LockedJar(folder, f"{found.groupId}:{found.artifactId}:{found.version}", sha256)
        for (folder, found), sha256 in zip(wanted, hashes, strict=True)
    )


def _placements() -> list[tuple[str, Artifact]]:
    """(folder in the home, artifact) for the server and each module."""
    server = _closure(_SERVER)
    modules = {name: _closure(f"org.elasticsearch.plugin:{name}:{VERSION}") for name in _MODULES}
    placed = [("lib", artifact) for name, artifact in server.items() if _usable(name)]
    for name, closure in modules.items():
        held = {*server, *modules.get(_EXTENDS.get(name, ""), {})}
        own = [
            artifact for artifact_id, artifact in closure.items() if artifact_id not in held and _usable(artifact_id)
        ]
        own += [_closure(coordinate)[coordinate.split(":")[1]] for coordinate in _REPLACED.get(name, ())]
        placed += [(f"modules/{name}", artifact) for artifact in own]
    return placed


def _closure(coordinate: str) -> dict[str, Artifact]:
    return {artifact.artifactId: artifact for artifact in jgo.resolve(coordinate)}


def _usable(artifact_id: str) -> bool:
    return artifact_id not in _UNPUBLISHED | _REPEATED and not artifact_id.startswith("opensaml-")
