"""Memory and cores, read from planted files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnctl.core import machine


@pytest.fixture
def planted(tmp_path):
    """Plant files, by their path under the mount of the control groups, and say what memory is available."""

    def memory(meminfo: str = "", groups: str = "0::/a/b\n", **files: str) -> int | None:
        (tmp_path / "meminfo").write_text(meminfo)
        (tmp_path / "groups").write_text(groups)
        for name, content in files.items():
            path = tmp_path / "mount" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return machine.available_memory(tmp_path / "meminfo", tmp_path / "groups", tmp_path / "mount")

    return memory


def test_the_memory_of_this_machine_is_at_most_what_is_built_in():
    size = machine.available_memory()
    assert size is not None
    assert 0 < size <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_available_is_what_linux_says_and_not_what_is_free(planted):
    assert planted("MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:  2048 kB\n") == 2048 * 1024


def test_where_nothing_is_said_all_of_the_memory_counts(planted):
    assert planted() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_where_nothing_is_known_there_is_no_figure(planted, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert planted() is None


LIMIT = {"memory.max": "5000", "memory.current": "1500", "memory.stat": "anon 1000\ninactive_file 500\n"}


def under(folder: str, **changes: str) -> dict[str, str]:
    return {f"{folder}{name}": content for name, content in (LIMIT | changes).items()}


def test_a_container_leaves_its_limit_less_its_use_where_the_cache_of_files_counts_as_left(planted):
    assert planted(**under("a/b/")) == 5000 - 1500 + 500


def test_a_limit_on_an_outer_group_counts_too(planted):
    assert planted(**under("")) == 4000
    assert planted(**under("a/"), **{"a/b/memory.max": "max\n", "a/b/memory.current": "1500\n"}) == 4000


def test_the_narrowest_of_several_limits_counts(planted):
    assert planted("MemAvailable:  3 kB\n", **under("a/b/")) == 3 * 1024
    assert planted("MemAvailable:  9 kB\n", **under("a/b/"), **under("a/", **{"memory.max": "4000"})) == 3000


def test_a_group_over_its_limit_has_nothing_left(planted):
    assert planted(**under("a/b/", **{"memory.max": "100"})) == 0


def test_control_groups_of_version_1_are_read(planted):
    files = {
        "memory/job/memory.limit_in_bytes": "8000\n",
        "memory/job/memory.usage_in_bytes": "3000\n",
        "memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 1000\n",
    }
    groups = "4:memory:/job\n3:cpuset:/\n"
    assert planted(groups=groups, **files) == 6000


def test_a_container_that_sees_only_its_own_group_finds_the_limit_at_the_top(planted):
    assert planted(groups="0::/not/visible/here\n", **under("")) == 4000


def test_there_is_at_least_one_core(tmp_path):
    (tmp_path / "groups").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text("1000 100000\n")
    assert machine.cores(tmp_path / "groups", tmp_path) == 1
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_a_system_without_control_groups_has_its_cores_and_memory(tmp_path):
    nowhere = tmp_path / "nowhere"
    assert machine.cores(nowhere, nowhere) == len(os.sched_getaffinity(0))
    assert machine.available_memory(Path("/proc/meminfo"), nowhere, nowhere) is not None
