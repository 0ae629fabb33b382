"""`deployments/debian/check`, on machines made of stand-ins for Debian's own commands."""

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "deployments" / "debian" / "check"
HERE = "haproxy prometheus redis-server"


@pytest.fixture
def machine(tmp_path):
    """A PATH of stand-ins: `machine(name, script)` adds one. All is installed; the user is not root."""

    def add(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    for name in ("bash", "sed", "grep", "dirname", "cat", "env", "sh"):
        (tmp_path / name).symlink_to(next(Path(folder) / name for folder in ("/usr/bin", "/bin")))
    installed(add, HERE)
    add("id", "echo 1000")
    add("python3", "exit 0")
    add.path = tmp_path
    return add


def installed(add, names):
    add("dpkg-query", f'for each in {names}; do [ "$each" = "$4" ] && echo "install ok installed"; done; exit 0')


def check(machine):
    done = subprocess.run(
        [CHECK], env={"PATH": str(machine.path), "PYTHON": "python3"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_all_that_is_needed_is_here(machine):
    assert check(machine) == (0, "")


def test_a_missing_server_is_a_reason_to_end_and_is_named(machine):
    installed(machine, "prometheus redis-server")
    code, said = check(machine)
    assert code == 1
    assert "missing Debian packages: haproxy\n" in said
    assert "HINT: sudo " in said


def test_what_has_a_stand_in_is_named_and_is_no_reason_to_end(machine):
    installed(machine, "haproxy prometheus")
    code, said = check(machine)
    assert code == 0
    assert "missing Debian packages: redis-server\n" in said
