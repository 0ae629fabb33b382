"""What a large repository takes is arithmetic on measured rates, and the page has what the arithmetic says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.sizing import BEGIN, END, GIB, TIB, Rates, Sizing, main, most_bytes, read_rates, rewritten, tables
from steward.errors import BadInput
from steward.snapshots.planning import MOST_PARTS, TenantSize, plan_batches, plan_parts
from steward.snapshots.policy import NIGHT_SECONDS

PAGE = Path(__file__).parents[2] / "docs" / "large-repositories.md"
#: Round ones: of a TiB the restore takes 1,024 seconds, and the comparison, by documents and by bytes, twice as long.
RATES = Rates(
    snapshot_bytes=GIB,
    blobs_bytes=GIB,
    restore_bytes=GIB,
    compare_documents=2**20,
    compare_bytes=GIB,
    tenants=100,
    copy_bytes=GIB,
)
KIB = 1 << 10


def seconds(sizing, **how):
    return {stage.name: round(stage.seconds) for stage in sizing.night(**how).stages}


def test_a_night_takes_what_is_new_once_and_all_that_is_proved():
    assert seconds(Sizing(RATES, TIB, KIB)) == {
        "snapshot": 20,
        "blobs": 55,
        "restore": 1024,
        "compare contents": 2048,
        "compare definitions": 1,
        "copy": 20,
        "copy-proof": 40,
    }


def test_the_first_night_takes_every_byte():
    first = seconds(Sizing(RATES, TIB, KIB), new=1.0)
    assert (first["snapshot"], first["blobs"], first["copy"]) == (1024, 1024, 1024)


@pytest.mark.parametrize("workers", [1, 3, 32])
def test_a_rotation_is_the_shortest_whose_night_is_over_in_time(workers):
    sizing = Sizing(RATES, 100 * TIB, KIB)
    nights = sizing.nights(workers)
    assert sizing.night(workers, 1 / nights).seconds_with(workers) <= NIGHT_SECONDS
    assert nights == 1 or sizing.night(workers, 1 / (nights - 1)).seconds_with(workers) > NIGHT_SECONDS


def test_no_rotation_helps_where_what_one_run_does_takes_longer_than_a_night():
    assert Sizing(RATES, 1000 * TIB, KIB).nights(1000) is None
    assert "| too long | - |" in "\n".join(tables(RATES.model_copy(update={"copy_bytes": 1.0})))


@pytest.mark.parametrize(("workers", "gib"), [(1, 10), (8, 80), (30, 300)])
def test_the_disk_told_lets_all_workers_be_at_work_in_batches_of_few_runs(workers, gib):
    sizing = Sizing(RATES, TIB, KIB)
    assert sizing.disk(workers, 1) >= gib * GIB
    tenants = [TenantSize(tenant=f"t{n}", indices=[f"i{n}"], bytes=10 * GIB) for n in range(102)]
    waves = plan_parts(plan_batches(tenants, sizing.disk(workers, 1)))
    assert sum(map(len, waves)) <= MOST_PARTS
    assert min(map(len, waves[:-1])) >= workers


@pytest.mark.parametrize("workers", [1, 8])
def test_up_to_the_size_told_all_tenants_are_proved_in_one_night_and_above_it_no_more(workers):
    most = most_bytes(RATES, KIB, workers)
    assert Sizing(RATES, most, KIB).nights(workers) == 1
    assert Sizing(RATES, most + 2 * GIB, KIB).nights(workers) != 1


def test_a_page_is_rewritten_between_its_marks_and_nowhere_else(tmp_path):
    page, rates = tmp_path / "page.md", tmp_path / "rates.json"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rates.write_text(json.dumps({"documents": 7, "rates": RATES.model_dump()}))
    assert main([str(rates), "--page", str(page)]) == 0
    written = page.read_text()
    assert written.startswith(f"before\n{BEGIN}\n")
    assert written.endswith(f"{END}\nafter\n")
    assert "old" not in written
    assert "| 8 |" in written


def test_what_is_no_bench_and_what_is_no_page_are_refused(tmp_path, capsys):
    for text in ("", "[]", '{"rates": {"snapshot_bytes": 0}}'):
        with pytest.raises(BadInput, match="no JSON with"):
            read_rates(text)
    with pytest.raises(BadInput, match="has not one"):
        rewritten(f"{END} {BEGIN}", "")
    assert main([str(tmp_path / "nothing")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_page_has_what_its_own_rates_come_to():
    page = PAGE.read_text()
    part = page.split(BEGIN)[1].split(END)[0].strip()
    rates = Rates.model_validate_json(part.split("```json\n")[1].split("\n```")[0])
    assert part == "\n".join(tables(rates))
