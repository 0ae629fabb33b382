"""A node inside this process, by the server's public classes: Elasticsearch's own launcher needs its tarball."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jpype

from replica.elasticsearch import failures, java
from steward.errors import StewardError

_CLOSE_SECONDS = 10
_LOG_TO_CONSOLE = True
_STATELESS = False
# No Java module layers, the server's exports among them: everything loads from the class path.
_SERVER_EXPORTS = False


class NodeRefused(StewardError):
    """Elasticsearch itself does not start; its stack is on standard error."""


def start(home: Path, config: Path, heap_megabytes: int, options: list[str]) -> Any:
    """A started `org.elasticsearch.node.Node`. Raises JavaMissing and NodeRefused."""
    java.start(home, config.parent, heap_megabytes, options)
    try:
        return _node(home, config)
    except jpype.JException as error:
        error.printStackTrace()
        fact, hint = failures.explain(_chain(error))
        raise NodeRefused(fact, hint=hint) from None


def close(node: Any) -> None:
    """As the launcher does: shards are closed, files synced, ports free."""
    node.prepareForClose()
    node.close()
    node.awaitClose(_CLOSE_SECONDS, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS)


def _node(home: Path, config: Path) -> Any:
    jclass = jpype.JClass
    _end_on_fatal_errors()
    log_configurator = jclass("org.elasticsearch.common.logging.LogConfigurator")
    log_configurator.configureESLogging()
    environment = jclass("org.elasticsearch.node.InternalSettingsPreparer").prepareEnvironment(
        jclass("org.elasticsearch.common.settings.Settings").builder().put("path.home", str(home)).build(),
        jclass("java.util.Map").of(),
        jclass("java.nio.file.Path").of(str(config)),
        jpype.JProxy("java.util.function.Supplier", dict={"get": lambda: "node"}),
    )
    log_configurator.configure(environment, _LOG_TO_CONSOLE)
    loader = jclass("org.elasticsearch.plugins.PluginsLoader")
    modules = loader.loadModulesBundles(environment.modulesDir(), _STATELESS)
    plugins = loader.loadPluginsBundles(environment.pluginsDir(), _STATELESS)
    loaded = loader.createPluginsLoader(modules, plugins, jclass("java.util.Map").of(), _SERVER_EXPORTS)
    return jclass("org.elasticsearch.node.Node")(environment, loaded).start()


def _end_on_fatal_errors() -> None:
    """As Elasticsearch's launcher does: a thread that dies of an `Error` takes the node with it, never half of it."""

    def uncaught(thread: Any, error: Any) -> None:
        error.printStackTrace()
        if isinstance(error, jpype.JClass("java.lang.Error")):
            print(f"fatal error in thread {thread.getName()}: {error}", file=sys.stderr, flush=True)
            os._exit(70)

    handler = jpype.JProxy("java.lang.Thread$UncaughtExceptionHandler", dict={"uncaughtException": uncaught})
    jpype.JClass("java.lang.Thread").setDefaultUncaughtExceptionHandler(handler)


def _chain(error: Any) -> list[str]:
    """`Class: message` of *error* and its causes, outermost first."""
    found: list[str] = []
    while error is not None:
        found.append(f"{error.getClass().getSimpleName()}: {error.getMessage()}")
        error = error.getCause()
    return found
