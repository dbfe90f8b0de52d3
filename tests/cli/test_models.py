"""`rtspk models` as a user runs it."""

import json
import shutil

from rtspk.engine.embedder import BUNDLED


def test_a_model_is_added_used_by_default_and_removed(rtspk, tmp_path):
    folder = tmp_path / "exported"
    shutil.copytree(BUNDLED / "embedder", folder)
    card = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(card.replace(card.split('"')[1], "mine-1", 1))

    assert rtspk("models", "add", folder, "--stage", "staging").returncode == 0
    assert rtspk("models", "use", "mine-1").returncode == 0
    rows = json.loads(rtspk("models", "list", "--json").stdout)["models"]
    assert [(row["id"], row["stage"], row["in_use"]) for row in rows[1:]] == [("mine-1", "staging", True)]
    shown = rtspk("models", "list").stdout.splitlines()
    assert [line.split()[:3] for line in shown if "mine-1" in line] == [["*", "mine-1", "staging"]]
    assert "speakers held out of training" in shown[0]
    refused = rtspk("models", "remove", "mine-1")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "rtspk models use bundled" in refused.stderr
    assert rtspk("models", "use", "bundled").returncode == 0
    assert rtspk("models", "remove", "mine-1").returncode == 0
    [shipped] = json.loads(rtspk("models", "list", "--json").stdout)["models"]
    for name in ("bundled", shipped["id"]):
        refused = rtspk("models", "remove", name)
        assert f"got {name}, which comes with rtspk and stays" in refused.stderr
        assert refused.returncode == 2


def test_a_gallery_of_another_model_says_what_to_do(rtspk, tmp_path, voices):
    folder = tmp_path / "exported"
    shutil.copytree(BUNDLED / "embedder", folder)
    card = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(card.replace(card.split('"')[1], "mine-1", 1))
    rtspk("models", "add", folder)
    assert rtspk("enroll", "Anna", voices.a1, "--model", "mine-1").returncode == 0
    refused = rtspk("identify", voices.a2)
    assert refused.returncode == 2
    assert "mine-1" in refused.stderr
    assert "rtspk models list" in refused.stderr


def test_an_unknown_model_is_one_line(rtspk, voices):
    done = rtspk("identify", voices.a1, "--model", "nothing")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "got 'nothing'" in done.stderr
