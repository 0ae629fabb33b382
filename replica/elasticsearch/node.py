"""One Elasticsearch node in this process: `python -m replica.elasticsearch.node HOME CONFIG`.

SIGTERM closes it cleanly, exit code 0. What keeps it from starting is said in its last two lines, exit code 1.
Elasticsearch's own launcher needs its tarball; this uses the server's public classes from the published jars.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

import jpype

from replica.elasticsearch import archive, failures, java
from steward.errors import StewardError

_STOPS = {signal.SIGTERM, signal.SIGINT}
_CLOSE_SECONDS = 10
_LOG_TO_CONSOLE = True
_STATELESS = False
# No Java module layers, the server's exports among them: everything loads from the class path.
_SERVER_EXPORTS = False


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m replica.elasticsearch.node", description=__doc__)
    parser.add_argument("home", type=Path, help="what `python -m replica.elasticsearch setup` laid out")
    parser.add_argument("config", type=Path, help="the node's configuration folder")
    parser.add_argument("--heap-megabytes", type=int, default=400)
    parser.add_argument("--record", type=Path, help="record an archive for faster starts, written after the stop")
    arguments = parser.parse_args()
    # Blocked before any thread exists, so every thread of the virtual machine inherits it: only sigwait sees them,
    # and one that comes during the start waits for its end.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    node = _started(arguments)
    signal.sigwait(_STOPS)
    _close(node)
    return 0


def _started(arguments: argparse.Namespace) -> Any:
    name = arguments.config.resolve().parent.name
    options = archive.recording(arguments.record) if arguments.record else archive.options(arguments.home)
    # The variable that Elasticsearch's own launcher reads: further options of the virtual machine, which win.
    options += os.environ.get("ES_JAVA_OPTS", "").split()
    try:
        java.start(arguments.home, arguments.config.parent, arguments.heap_megabytes, options)
        return _node(arguments.home, arguments.config)
    except StewardError as error:
        _give_up(name, error.message, error.hint)
    except jpype.JException as error:
        error.printStackTrace()
        _give_up(name, *failures.explain(_chain(error)))


def _node(home: Path, config: Path) -> Any:
    """A started `org.elasticsearch.node.Node`."""
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


def _close(node: Any) -> None:
    node.prepareForClose()
    node.close()
    node.awaitClose(_CLOSE_SECONDS, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS)


def _chain(error: Any) -> list[str]:
    """`Class: message` of *error* and its causes, outermost first."""
    found: list[str] = []
    while error is not None:
        found.append(f"{error.getClass().getSimpleName()}: {error.getMessage()}")
        error = error.getCause()
    return found


def _give_up(name: str, fact: str, hint: str) -> None:
    print(f"{name} cannot start: {fact}\nHINT: {hint}", file=sys.stderr, flush=True)
    # Not sys.exit: threads of a half-built node would keep the virtual machine, and so this process, alive.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
