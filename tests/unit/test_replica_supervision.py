import configparser
import shlex
import sys
from pathlib import Path

import pytest

from replica.errors import KeeperFailed, NotRunning
from replica.server import Program, python
from replica.supervision import Keeper, render


def section(program):
    parser = configparser.ConfigParser()
    parser.read_string(render("s3", program, Path("/state/logs/s3.log")))
    return parser["program:s3"]


def test_a_command_keeps_its_words_and_its_percent_signs():
    command = ["/usr/bin/weed", "-dir=/state with space", "%m '%p'"]
    assert shlex.split(section(Program(command))["command"]) == command


def test_a_server_that_dies_is_started_again_and_one_that_was_stopped_is_not():
    assert section(Program(["x"]))["autorestart"] == "unexpected"
    assert section(Program(["x"]))["autostart"] == "false"


def test_logs_are_bounded():
    assert section(Program(["x"]))["stdout_logfile_maxbytes"] == "20MB"
    assert section(Program(["x"]))["stdout_logfile_backups"] == "2"


def test_a_value_that_would_break_out_of_its_quotes_is_refused_without_being_shown():
    with pytest.raises(KeeperFailed) as caught:
        render("s3", Program(["x"], {"PASSWORD": 'hunter",EVIL="2'}), Path("/log"))
    assert "PASSWORD" in str(caught.value)
    assert "hunter" not in str(caught.value)


def test_without_a_supervisor_nothing_runs_and_commands_say_so(tmp_path):
    keeper = Keeper(tmp_path)
    assert keeper.pid() is None
    assert keeper.processes() == {}
    with pytest.raises(NotRunning, match="no supervisor answers"):
        keeper.shut_down()


def test_programs_run_by_this_interpreter_under_one_name():
    """Whatever called `up`: a changed command would start every server anew."""
    assert Path(python()).samefile(sys.executable)
    assert Path(python()).name == "python"
