"""The run of a proof without Kafka: how the prover's own processes are started."""

import pytest

from apps.common.errors import Unavailable
from loadtest.prover.plan import Plan
from loadtest.prover.run import Proof


def test_the_provers_processes_import_nothing_from_the_folder_they_are_started_in(tmp_path, monkeypatch):
    """A person may keep a file there that is called as a module of Python's own."""
    (tmp_path / "secrets.py").write_text("raise SystemExit('run by the prover')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # . may stand in it, and then that is what a person wants

    with pytest.raises(Unavailable, match=r"No such file or directory: .*plan\.json"):
        Proof(Plan("prove-1"), tmp_path, print).run()
