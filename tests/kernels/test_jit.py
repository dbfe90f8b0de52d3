import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtspk.kernels import jit
from rtspk.kernels.jit import aligned, contiguous, kernel


def double(values, out):
    for i in range(len(out)):
        out[i] = 2 * values[i]


def run_double(compiled):
    out = np.zeros(3, dtype=np.float32)
    compiled(np.arange(3, dtype=np.float32), out)
    return out.tolist()


@pytest.fixture
def cache_in(monkeypatch):
    """Send the compiled code to another folder."""

    def send(folder):
        monkeypatch.setattr(jit, "_cache_directory", lambda: str(folder))

    return send


def test_compiled_code_is_kept_on_disk(tmp_path, cache_in):
    cache_in(tmp_path)
    assert run_double(kernel("void(float32[::1], float32[::1])")(double)) == [0.0, 2.0, 4.0]
    assert list(tmp_path.rglob("*.nbi"))


def test_a_kernel_compiles_even_where_nothing_can_be_written(tmp_path, cache_in, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    cache_in(blocked)
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    assert run_double(kernel("void(float32[::1], float32[::1])")(double)) == [0.0, 2.0, 4.0]


def test_the_cache_folder_of_other_packages_is_left_alone(tmp_path, cache_in):
    import numba

    before = numba.config.CACHE_DIR
    cache_in(tmp_path)
    kernel("void(float32[::1], float32[::1])")(double)
    assert before == numba.config.CACHE_DIR


def test_the_folder_changes_with_any_kernels_source(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    folders = set()
    for text in ("a = 1", "a = 2", "a = 1"):
        (tmp_path / "helper.py").write_text(text)
        jit._cache_directory.cache_clear()
        folders.add(jit._cache_directory())
    jit._cache_directory.cache_clear()
    assert len(folders) == 2
    assert all(Path(folder).is_relative_to(tmp_path / "__pycache__") for folder in folders)


def test_the_folder_changes_with_the_processor(monkeypatch):
    """So that what was compiled on another one is neither taken over nor passed off as ready."""
    folders = set()
    for known in ({"avx2"}, {"avx2", "avx512f"}, {"avx2"}):
        monkeypatch.setattr(jit, "features", lambda known=known: known)
        jit._cache_directory.cache_clear()
        folders.add(jit._cache_directory())
    jit._cache_directory.cache_clear()
    assert len(folders) == 2


def test_the_users_choice_of_folder_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    jit._cache_directory.cache_clear()
    folder = jit._cache_directory()
    jit._cache_directory.cache_clear()
    assert Path(folder).parent == tmp_path


def test_the_first_time_is_announced_and_the_second_is_not(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))  # nothing is compiled beside it
    for said in (["compiling for this processor, the first time: this takes up to a minute"], []):
        caplog.clear()
        jit._cache_directory.cache_clear()
        Path(jit._cache_directory()).mkdir(exist_ok=True)
        assert caplog.messages == said
    jit._cache_directory.cache_clear()


def test_what_is_compiled_beside_the_sources_is_taken_over_where_they_are_read_only(
    tmp_path, monkeypatch, caplog
):
    sources, home = tmp_path / "package", tmp_path / "home"
    sources.mkdir()
    (sources / "helper.py").write_text("a = 1")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(jit, "__file__", str(sources / "jit.py"))
    jit._cache_directory.cache_clear()
    ready = Path(jit._cache_directory())
    ready.mkdir(parents=True)
    (ready / "one.nbc").write_bytes(b"code")
    caplog.clear()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != sources and real(path, mode))
    jit._cache_directory.cache_clear()
    folder = Path(jit._cache_directory())
    jit._cache_directory.cache_clear()
    assert folder.is_relative_to(home)
    assert [one.read_bytes() for one in folder.parent.rglob("*.nbc")] == [b"code"]
    assert not caplog.messages


def test_a_read_only_package_imports_and_keeps_its_code_with_the_user(tmp_path):
    """In a process of its own, since a module is imported once; os.access stands for the read-only folder."""
    code = (
        "import os; real = os.access\n"
        "os.access = lambda path, mode, **more: mode != os.W_OK and real(path, mode, **more)\n"
        "import rtspk.kernels.jit as jit; print(jit._cache_directory())"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment |= {
        "XDG_CACHE_HOME": str(tmp_path),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(Path(jit.__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_groups_can_be_made_where_nothing_can_be_written():
    """In a process of its own, since a module is imported once; no place for a cache is found there."""
    code = (
        "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []\n"
        "import rtspk.engine.memory"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(jit.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0


def test_an_exact_kernel_computes_as_it_is_written(tmp_path, cache_in):
    cache_in(tmp_path)

    def product_and_sum(values, out):
        out[0] = values[0] * values[1] + values[2] * values[3]

    values, out = np.random.default_rng(0).normal(size=(1000, 4)), np.zeros(1)
    compiled = kernel("void(float64[::1], float64[::1])", exact=True)(product_and_sum)
    for row in values:
        compiled(row, out)
        assert out[0] == row[0] * row[1] + row[2] * row[3]


@pytest.mark.parametrize("shape", [(5,), (3, 7), (1,)])
def test_aligned_arrays_begin_a_cache_line_and_keep_their_values(shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    copy = aligned(values)
    assert copy.ctypes.data % 64 == 0
    np.testing.assert_array_equal(copy, values)


def test_only_arrays_that_need_it_are_copied():
    values = np.arange(6, dtype=np.float32)
    assert contiguous(values) is values
    np.testing.assert_array_equal(contiguous(values[::2]), [0, 2, 4])
    assert contiguous(values[::2]).flags.carray
