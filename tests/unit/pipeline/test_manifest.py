"""pipeline.toml: what it may say, and how it is told what is wrong with it."""

import pytest

from demo.shop.repository import FILES
from steward.pipeline.errors import UnusableManifest
from steward.pipeline.manifest import read_manifest

LEAST = b'format = "steward-pipeline-v1"\n[build]\ncommand = ["make"]\nartifact = "dist/*.whl"\n'


def test_the_demos_own_can_be_read_and_has_every_stage():
    told = read_manifest((FILES / "pipeline.toml").read_bytes())
    assert all((told.unit_tests, told.contract_tests, told.migrations, told.security, told.performance))


def test_a_build_alone_is_enough_to_be_read():
    told = read_manifest(LEAST)
    assert (told.build.command, told.unit_tests) == (("make",), None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "format: Field required"),
        (LEAST.replace(b"-v1", b"-v2"), "format: Input should be 'steward-pipeline-v1'"),
        (LEAST.replace(b"[build]", b"[biuld]"), "build: Field required; biuld: Extra inputs"),
        (LEAST.replace(b'["make"]', b'"make all"'), "build.command: Input should be a valid tuple"),
        (LEAST.replace(b'["make"]', b"[]"), "build.command"),
        (LEAST.replace(b"dist/", b"../../etc/"), "build.artifact: Value error, expected a path below"),
        (LEAST.replace(b"dist/", b"/etc/"), "build.artifact: Value error, expected a path below"),
        (LEAST + b"seconds = inf\n", "build.seconds"),
        (LEAST + b"seconds = 0\n", "build.seconds"),
        (b"\xff", "not UTF-8"),
        (b"format =", "is no TOML"),
        (b"#" * 70_000, "70,000 bytes"),
        (
            LEAST + b'[performance]\ncommand = ["x"]\npairs = 10\nmost_pairs = 8\n',
            r"performance: Value error, most_pairs \(8\) is less than pairs \(10\)",
        ),
        (
            LEAST
            + b'[security]\nlock = "l"\n[[security.vulnerabilities]]\nid = "PYSEC-1"\nreason = "harmless"\nuntil = "soon"\n',
            "security.vulnerabilities.0.until",
        ),
    ],
)
def test_whatever_else_it_says_is_refused_with_its_path_and_what_was_expected(text, says):
    with pytest.raises(UnusableManifest, match=says) as refused:
        read_manifest(text, "pipeline.toml of commit abc")
    assert "pipeline.toml of commit abc" in refused.value.message
    assert refused.value.hint
