"""Files that several processes read and replace."""

import json
import multiprocessing

from apps.orchestrator.state_files import StateFiles


def test_a_reader_never_sees_half_a_file(tmp_path):
    """
    While a file is replaced again and again, every read gives one of the values that were written.
    """
    state_files = StateFiles(tmp_path)
    text = "x" * 50_000
    writer = multiprocessing.Process(target=write_often, args=(tmp_path, text))
    writer.start()
    reads = 0
    while writer.is_alive():
        path = tmp_path / "big.json"
        if path.exists():
            assert text == json.loads(path.read_text())["text"]
            reads += 1
    writer.join()

    assert reads > 5
    assert text == state_files.read("big.json", lambda raw: raw["text"])


def write_often(folder, text):
    """Replace a file a few hundred times."""
    state_files = StateFiles(folder)
    for _ in range(300):
        with state_files.locked():
            state_files.write("big.json", {"text": text})
