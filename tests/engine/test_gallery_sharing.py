"""Threads, processes and other programs at one gallery: nothing is lost, locks are waited for."""

import os
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from rtspk.errors import RtspkError, StorageError
from tests.engine.conftest import message, open_gallery, prints


def test_what_another_process_stores_is_found_by_the_next_search(path):
    anna, ben = prints(1), prints(2)
    with open_gallery(path) as gallery, open_gallery(path) as other:
        gallery.add("Anna", anna, "a")
        assert [name for name, _ in gallery.search(ben[0].vector, 5)] == ["Anna"]
        other.add("Ben", ben, "b")
        assert gallery.search(ben[0].vector, 1)[0][0] == "Ben"
        other.rename("Ben", "Benjamin")
        assert gallery.search(ben[0].vector, 1)[0][0] == "Benjamin"
        other.delete("Benjamin")
        assert [name for name, _ in gallery.search(ben[0].vector, 5)] == ["Anna"]


def test_a_gallery_that_another_program_locks_is_waited_for_and_then_named(path):
    with open_gallery(path, busy_seconds=0.05) as gallery:
        gallery.add("Anna", prints(1), "a")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError) as caught:
            gallery.add("Ben", prints(2), "b")
        assert "within 0.05 s, got it locked by another program; try again" in message(caught)
        assert gallery.search(prints(1)[0].vector, 5)[0][0] == "Anna"
        other.execute("ROLLBACK")
        other.close()
        gallery.add("Ben", prints(2), "b")


def test_a_gallery_that_is_held_can_be_read_and_is_changed_by_nobody_else(path):
    with open_gallery(path) as gallery, open_gallery(path, busy_seconds=0.05) as other:
        gallery.add("Anna", prints(1), "a", clips=[("a", np.zeros(8, np.float32))])
        with gallery.held():
            assert gallery.clips("Anna")[0][0] == other.show("Anna").exemplars[0].source
            with pytest.raises(StorageError, match="locked by another program"):
                other.add("Ben", prints(2), "b")
        other.add("Ben", prints(2), "b")
        assert len(gallery) == 2


def test_a_lock_that_is_given_back_in_time_is_no_error(path):
    with open_gallery(path, busy_seconds=30) as gallery:
        gallery.add("Anna", prints(1), "a")
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.1, lambda: other.execute("ROLLBACK"))
        timer.start()
        assert gallery.add("Ben", prints(2), "b").exemplars == 1
        timer.join()
        other.close()


def test_a_gallery_that_another_program_has_just_open_is_waited_for(path):
    open_gallery(path).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN")
    other.execute("SELECT * FROM meta").fetchall()
    with pytest.raises(StorageError, match="locked by another program"):
        open_gallery(path, busy_seconds=0.05)
    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()
    open_gallery(path, busy_seconds=30).close()
    timer.join()
    other.close()


def test_threads_add_and_search_at_the_same_time(path):
    failures = []
    with open_gallery(path) as gallery:

        def work(number):
            try:
                for turn in range(5):
                    own = prints(1000 * number + turn)
                    gallery.add(f"name {number}", own, "x")
                    if gallery.search(own[0].vector, 1)[0][0] != f"name {number}":
                        failures.append("another name was nearer")
            except RtspkError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [one.exemplars for one in gallery.speakers()] == [5] * 6


KILLED = """
import sys
from pathlib import Path
import numpy as np
from rtspk.engine.gallery import Gallery
from rtspk.types import Embedding, Segment

gallery = Gallery.open(Path(sys.argv[1]), "test-model", 64)
first = int(sys.argv[2])
for number in range(first, first + 100_000):
    rng = np.random.default_rng(number)
    own = [Embedding(row, Segment(0, 1), 1) for row in rng.normal(size=(3, 64)).astype(np.float32)]
    gallery.add(f"name {number}", own, "x")
    print(number, flush=True)
"""


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    acknowledged = []
    for attempt in range(3):
        command = [sys.executable, "-c", KILLED, str(path), str(1_000_000 * attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as child:
            acknowledged += [int(child.stdout.readline()) for _ in range(5 + 3 * attempt)]
            child.kill()
            acknowledged += map(int, child.stdout.read().split())
        with open_gallery(path) as gallery:
            names = {one.name: one.exemplars for one in gallery.speakers()}
            assert {f"name {number}" for number in acknowledged} <= set(names)
            assert set(names.values()) == {3}  # a person is there with all prints or not at all
            assert len(names) <= len(acknowledged) + attempt + 1
            vector = np.random.default_rng(acknowledged[-1]).normal(size=(3, 64)).astype(np.float32)[1]
            assert gallery.search(vector, 1)[0][0] == f"name {acknowledged[-1]}"


def test_two_processes_that_write_at_once_lose_nothing(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    script = KILLED.replace("100_000", "20")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(start)], stdout=subprocess.DEVNULL, env=env
        )
        for start in (0, 1000)
    ]
    assert [child.wait(120) for child in started] == [0, 0]
    with open_gallery(path) as gallery:
        wanted = {f"name {number}" for start in (0, 1000) for number in range(start, start + 20)}
        assert {one.name for one in gallery.speakers()} == wanted


LISTS = """
import sys
from pathlib import Path
from rtspk.engine.gallery import Gallery

print(*(one.name for one in Gallery.open(Path(sys.argv[1]), "test-model", 64).speakers()), sep="\\n")
"""


def test_a_gallery_opened_twice_in_a_process_keeps_what_is_written_while_other_processes_come_and_go(path):
    env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}

    def another_process(script, *arguments):
        command = [sys.executable, "-c", script, str(path), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=True).stdout

    with open_gallery(path) as gallery:
        assert gallery.speakers() == []
        open_gallery(path).close()
        another_process(KILLED.replace("100_000", "1"), "0")
        assert [one.name for one in gallery.speakers()] == ["name 0"]
        gallery.add("name 1", prints(1), "x")
        assert another_process(LISTS).split("\n")[:-1] == ["name 0", "name 1"]


def test_several_who_delete_at_once_all_succeed(path):
    failures = []
    with open_gallery(path) as gallery:
        for number in range(80):
            gallery.add(f"name {number}", prints(number), "x")

    def work(mine):
        with open_gallery(path, busy_seconds=60) as own:
            for number in range(mine, 80, 4):
                try:
                    own.delete(f"name {number}")
                except RtspkError as error:
                    failures.append(str(error))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_gallery(path) as gallery:
        assert len(gallery) == 0
