"""Where the batch dropper keeps its slices."""

from apps.batch_dropper.settings import DropperSettings
from apps.common.settings import load


def test_slices_lie_in_the_state_folder_unless_told_otherwise(monkeypatch, tmp_path):
    """
    BATON_WORK wins over BATON_STATE, and an empty variable is none.
    """
    monkeypatch.setenv("BATON_JOB", "drop")
    monkeypatch.setenv("BATON_SOURCE", "")
    monkeypatch.setenv("BATON_STATE", str(tmp_path))
    assert (tmp_path / "slices", None) == (load(DropperSettings).work, load(DropperSettings).source)

    monkeypatch.setenv("BATON_WORK", str(tmp_path / "w"))
    assert tmp_path / "w" == load(DropperSettings).work
