"""What learning the cluster anew costs: it is done for every question while a master is away."""

import asyncio

from steward.clients.redis import _CommandsReadOnce


class Node:
    def __init__(self) -> None:
        self.asked = []

    async def execute_command(self, command):
        self.asked.append(command)
        return {"FCALL": {"name": "fcall"}}


def test_the_table_of_commands_is_read_once_however_often_the_cluster_is_learned():
    node, commands = Node(), _CommandsReadOnce()
    for _ in range(3):
        asyncio.run(commands.initialize(node))
    assert node.asked == ["COMMAND"]
    assert "fcall" in commands.commands
