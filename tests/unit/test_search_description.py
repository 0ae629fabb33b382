from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from steward.errors import BadInput
from steward.search.description import SearchDescription, Size, load_description

FILE = Path(__file__).parents[2] / "deployments/elasticsearch/search.toml"


def described(**changes: Any) -> SearchDescription:
    return SearchDescription.model_validate(tomllib.loads(FILE.read_text()) | changes)


def nodes(count: int) -> list[dict[str, str]]:
    return [{"name": f"es-{n}", "host": f"es-{n}.internal"} for n in range(1, count + 1)]


def test_the_described_cluster_has_the_sizes_of_the_seed():
    size = described().size
    assert (size.cpus, size.memory_gib, size.disk_gib, size.heap_mib) == (4, 8, 160, 4096)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 6])
def test_a_number_of_nodes_without_a_majority_after_a_loss_is_refused(count):
    with pytest.raises(ValidationError, match=f"saw {count} nodes; expected an odd number of at least 3"):
        described(nodes=nodes(count))


@pytest.mark.parametrize("count", [3, 5, 7])
def test_an_odd_number_of_nodes_is_accepted(count):
    assert len(described(nodes=nodes(count)).nodes) == count


@pytest.mark.parametrize("what", ["name", "host"])
def test_two_nodes_cannot_share_a_name_or_a_host(what):
    twins = nodes(3)
    twins[2][what] = twins[0][what]
    with pytest.raises(ValidationError, match=f"saw the {what} .* twice"):
        described(nodes=twins)


@pytest.mark.parametrize(("memory", "heap"), [(2, 1024), (8, 4096), (62, 31 * 1024), (512, 31 * 1024)])
def test_the_heap_is_half_of_the_memory_and_at_most_31_gib(memory, heap):
    assert Size(cpus=4, memory_gib=memory, disk_gib=160).heap_mib == heap


@pytest.mark.parametrize("levels", [(90, 85, 95), (85, 85, 95), (85, 96, 95)])
def test_watermarks_that_do_not_rise_are_refused(levels):
    with pytest.raises(ValidationError, match="expected them to rise"):
        described(watermarks=dict(zip(("low", "high", "flood_stage"), levels, strict=True)))


@pytest.mark.parametrize("change", [{"retention": {"days": 0}}, {"tls": {"protocol": "TLSv1.2"}}, {"verison": "9.5.3"}])
def test_what_is_out_of_bounds_or_misspelt_is_refused(change):
    with pytest.raises(ValidationError):
        described(**change)


def test_an_unusable_file_is_told_with_its_field_and_a_hint(tmp_path):
    file = tmp_path / "search.toml"
    file.write_text(FILE.read_text().replace("cpus = 4", "cpus = 1"))
    with pytest.raises(BadInput, match=r"size\.cpus: Input should be greater than or equal to 2") as refused:
        load_description(file)
    assert refused.value.hint


@pytest.mark.parametrize("text", [None, "nodes = ["])
def test_a_missing_or_broken_file_is_told(tmp_path, text):
    file = tmp_path / "search.toml"
    if text:
        file.write_text(text)
    with pytest.raises(BadInput, match=r"search\.toml"):
        load_description(file)
