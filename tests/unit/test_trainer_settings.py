"""Where a training writes."""

import tempfile
from pathlib import Path

from apps.trainer.settings import TrainerSettings


def test_a_training_writes_into_a_new_folder_that_is_its_own(tmp_path, monkeypatch):
    """Below the scratch folder it was told, or the machine's; never the same twice, and closed to others."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "machine"))
    told = [TrainerSettings(batch="b", scratch=tmp_path / "told"), TrainerSettings(batch="b")]
    folders = [settings.in_a_folder_of_its_own().scratch for settings in (*told, *told)]

    assert [tmp_path / "told", tmp_path / "machine"] * 2 == [folder.parent for folder in folders]
    assert 4 == len({*folders})
    assert {0o700} == {Path(folder).stat().st_mode & 0o777 for folder in folders}
