"""What the sender's journal holds."""

import json

from apps.common.send_journal import SendWriter


def test_the_journal_has_one_line_for_each_request(tmp_path):
    """
    Acknowledged, broken and never answered: each request is written down once, with what is known of it.
    """
    path = tmp_path / "deep" / "journal.jsonl"
    journal = SendWriter(path)
    for number in range(3):
        journal.sent(f"r-{number}", float(number), number / 1000)

    journal.acked("r-0", 1, 42)
    journal.broke("r-1", ValueError("too long"))
    journal.close()
    journal.acked("r-2", 0, 7)

    acked, broken, silent = (json.loads(line) for line in path.read_text().splitlines())
    assert acked.pop("acked_at") > 0
    place = {"partition": 1, "offset": 42}
    assert {"request_id": "r-0", **place, "sent_at": 0.0, "error": None, "late_s": 0.0, "refused": False} == acked
    assert [0.001, 0.002] == [broken["late_s"], silent["late_s"]]
    assert ("r-1", None, "too long") == (broken["request_id"], broken["acked_at"], broken["error"])
    assert ("r-2", None) == (silent["request_id"], silent["acked_at"])
    assert "not acknowledged" in silent["error"]
    assert (1, 2) == (journal.acknowledged, journal.failed)


def test_the_journal_can_be_read_while_it_is_written(tmp_path, monkeypatch):
    """
    A flush shows what was written, at most every quarter of a second.
    """
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    journal = SendWriter(tmp_path / "j")
    journal.sent("r", 0.0, 0.0)
    journal.acked("r", 0, 0)

    journal.flush()
    early = (tmp_path / "j").read_text()
    clock[0] += 0.3
    journal.flush()

    assert "" == early
    assert (tmp_path / "j").read_text().endswith("\n")
