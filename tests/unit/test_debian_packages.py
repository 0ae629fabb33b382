"""`deployments/debian/check`, on machines made of stand-ins for Debian's own commands."""

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "deployments" / "debian" / "check"
HERE = "haproxy prometheus redis-server"


@pytest.fixture
def machine(tmp_path):
    """A PATH of stand-ins: `machine(name, script)` adds one. Installed are all that need no Node.js; the user is not root."""

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
    machine("node", "echo v20.20.2")
    machine("npm", "exit 0")
    assert check(machine) == (0, "")


def test_a_missing_server_is_a_reason_to_end_and_is_named(machine):
    machine("node", "echo v24.1.0")
    machine("npm", "exit 0")
    installed(machine, "prometheus redis-server")
    code, said = check(machine)
    assert code == 1
    assert "missing Debian packages: haproxy\n" in said
    assert "HINT: sudo " in said


@pytest.mark.parametrize("node", ["exit 127", "echo v18.20.4"])
def test_nodejs_is_asked_for_by_its_age_and_not_from_a_debian_that_is_older(machine, node):
    machine("node", node)
    machine("npm", "exit 0")
    machine("apt-cache", "echo '  Candidate: 18.20.4+dfsg-1~deb12u3'")
    code, said = check(machine)
    assert code == 0
    assert "missing: Node.js 20 or later, with npm; on the PATH is " in said
    assert "Debian has 18.20.4" in said
    assert "packages" not in said


def test_a_debian_whose_nodejs_serves_is_asked_for_it(machine):
    machine("node", "echo v18.20.4")
    machine("npm", "exit 0")
    machine("apt-cache", "echo '  Candidate: 20.19.2+dfsg-1'")
    code, said = check(machine)
    assert code == 0
    assert "missing Debian packages: nodejs npm" in said
