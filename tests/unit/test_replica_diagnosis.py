import pytest

from replica import diagnosis


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            "/opt/bin/postgres: error while loading shared libraries: libz.so.1: cannot open shared object file",
            "libz.so.1 is missing",
        ),
        ("OSError: libjvm.so: cannot open shared object file: No such file", "libjvm.so is missing"),
        ("FATAL: could not write to file: No space left on device", "the disk is full"),
        ("java.net.BindException: Address already in use", "a port is taken"),
        ("could not map anonymous shared memory: Cannot allocate memory", "memory ran out"),
    ],
)
def test_last_words_are_read_for_a_cause_that_can_be_mended(words, advice):
    assert advice in diagnosis.cause(f"starting\n{words}\nbye")


def test_of_two_causes_the_newest_counts():
    assert "memory" in diagnosis.cause("Address already in use\n…\nCannot allocate memory")


def test_words_of_an_earlier_run_are_not_held_against_this_one(tmp_path):
    log = tmp_path / "log"
    log.write_text("No space left on device\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("started\n")
    assert diagnosis.since(log, start) == "started\n"


def test_a_rotated_log_is_read_from_its_beginning(tmp_path):
    (tmp_path / "log").write_text("new")
    assert diagnosis.since(tmp_path / "log", 1_000) == "new"


def test_silence_is_said():
    assert diagnosis.last_words("\n \n") == "it said nothing"
