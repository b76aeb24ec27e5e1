"""The prover's command line without Kafka: what it refuses, what it judges again, and its exit codes."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from apps.common.messages import Answer
from loadtest.prover import cli
from loadtest.prover.plan import ANSWERS, EVENTS, EXPECTED, PAGE, REQUESTS, SENDS, VERDICT
from stack.environment import ROOT, inherited
from tests.unit.proof_histories import EVENTS as USUAL
from tests.unit.proof_histories import expected, named, proof

ASKED = ["--bootstrap", "127.0.0.1:9", "--requests", "asked", "--answers", "answered"]


def keep(recorded, folder):
    """Write a history as the prover's processes do."""
    folder.mkdir(exist_ok=True)
    recorded.plan.write(folder)
    (folder / SENDS).write_text("".join(f"{send.to_json()}\n" for send in recorded.sends))
    for name, lines in ((REQUESTS, recorded.requests), (ANSWERS, recorded.answers), (EVENTS, recorded.events)):
        (folder / name).write_text("".join(f"{json.dumps(asdict(line))}\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--rate", "0"], "--rate must be from 0.1 to 50,000; got 0"),
        (["--answers", "asked"], "--requests and --answers must be two topics"),
        (["--payloads", "nowhere.txt"], "--payloads must be a file; got nowhere.txt"),
        (["--quiet", "-1"], "--quiet must be 0 or more seconds; got -1"),
        (["--allow", "everything"], "--allow must be of lost, turned-away"),
        (["--protocol", "SASL_SSL"], "--user and --password-file must be given with SASL_SSL"),
        (["--protocol", "TLS"], "invalid choice: 'TLS'"),
        (["--whatever"], "unrecognized arguments: --whatever"),
        (["--bootstrap", ""], "--bootstrap, --requests and --answers must be given, or --http; got no --bootstrap"),
        (["--headers", __file__], "--headers must be given with --http; got it without"),
        (["--http", "http://a"], "--http must be without what only Kafka has; got --bootstrap, --requests, --answers"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_refused_with_64(more, why, capsys, tmp_path, monkeypatch):
    """Nothing is asked of Kafka, and no folder is made."""
    monkeypatch.chdir(tmp_path)

    assert cli.WRONG_COMMAND_LINE == cli.main([*ASKED, *more])
    assert why in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            ["--http", "ftp://a"],
            "--http must be http:// or https://, a host, maybe a port and a path, and no user; got",
        ),
        (["--http", "http://me:secret@a"], "--http must be http://"),
        (["--http", "http://a:many"], "--http must be http://"),
        (["--min-versions", "2"], "--http must be without what only Kafka has; got --min-versions"),
        (["--in-flight", "0"], "--in-flight must be from 1 to 4,096; got 0"),
        (["--quiet", "0"], "--quiet must be more than 0 seconds over HTTP; got 0"),
        (["--headers", __file__], f"--headers must have lines of NAME: VALUE; got {__file__}"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_over_http_is_refused_too(more, why, capsys):
    """Nothing is asked of the server."""
    assert cli.WRONG_COMMAND_LINE == cli.main(["--http", "http://127.0.0.1:9", *more])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["http://a/pre dict", "http://a/prädict", "http://a/?q=ä", f"http://{'a' * 64}/", "http://a..b/"]
)
def test_a_url_that_cannot_be_sent_is_a_wrong_command_line(url, capsys):
    """And not what each request breaks on later."""
    assert cli.WRONG_COMMAND_LINE == cli.main(["--http", url])
    assert f"--http must be a URL as it is sent, with %20 for a space; got {url}: " in capsys.readouterr().err


@pytest.mark.parametrize("line", ["X-Name: Ł", "Ł: x"])
def test_a_header_that_cannot_be_sent_is_a_wrong_command_line(line, tmp_path, capsys):
    """What it says may be a secret, and is not told; where the URL is wrong the header is looked at all the same."""
    file = tmp_path / "headers.txt"
    file.write_text(f"Token: s3cret\n{line} s3cret\n", encoding="utf-8")

    for url in ("http://a/", "http://a/ä"):
        assert cli.WRONG_COMMAND_LINE == cli.main(["--http", url, "--headers", str(file)])
        told = capsys.readouterr().err
        assert f"--headers must have lines of NAME: VALUE; got {file}: " in told
        assert "s3cret" not in told


def test_no_server_is_said_in_one_sentence_and_leaves_no_folder(monkeypatch, tmp_path, capsys):
    """Over HTTP as with Kafka."""
    monkeypatch.chdir(tmp_path)

    assert cli.OWN_FAILURE == cli.main(["--http", "http://127.0.0.1:9"])
    assert "error: the server must take connections at http://127.0.0.1:9; got " in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_all_problems_are_reported_together(capsys):
    """A person mends them in one go."""
    cli.main([*ASKED, "--rate", "0", "--quiet", "-1", "--ca", "nowhere.pem"])

    assert ["--rate", "--quiet", "--ca"] == [
        line.removeprefix("error:").split()[0] for line in capsys.readouterr().err.splitlines()[:3]
    ]


def test_a_poison_is_a_reason_and_a_payload(tmp_path, capsys):
    """A file with anything else is refused."""
    file = tmp_path / "poison.txt"
    for text in ("no tab\n", "reason\t\n", ""):
        file.write_text(text)
        assert cli.WRONG_COMMAND_LINE == cli.main([*ASKED, "--poison", str(file)])
    assert 3 == capsys.readouterr().err.count("--poison must have lines of REASON<TAB>PAYLOAD")
    file.write_bytes(b"r\xe9ason\tpayload\n")
    assert cli.WRONG_COMMAND_LINE == cli.main([*ASKED, "--poison", str(file)])
    assert "--poison must be UTF-8; got " in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "torn\n", "[]\n", "{}\n", b"\xff\n"], ids=str)
@pytest.mark.parametrize("command", ["prove", "check"])
def test_expected_values_that_are_none_are_a_wrong_command_line(tmp_path, content, command, capsys):
    """They are read before they are kept: those that are there already stay."""
    folder = keep(proof(named), tmp_path / "proof")
    (folder / EXPECTED).write_text(expected()[0].to_json() + "\n")
    file = tmp_path / "given.jsonl"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    start = ASKED if command == "prove" else ["check", str(folder)]
    assert cli.WRONG_COMMAND_LINE == cli.main([*start, "--expected", str(file)])
    assert "--expected must be a file" in capsys.readouterr().err
    assert expected()[0].to_json() + "\n" == (folder / EXPECTED).read_text()


@pytest.fixture
def proven(monkeypatch, tmp_path):
    """Arguments of a proof whose traffic is that of a right one, and its folder."""
    folder = tmp_path / "proofs" / "proof"
    monkeypatch.setattr(cli, "require_topics", lambda _: None)
    monkeypatch.setattr("loadtest.prover.cli.Proof.run", lambda self: keep(proof(named), self.folder))
    return [*ASKED, "--folder", str(folder)], folder


def test_a_proof_is_its_makers_alone(proven):
    """The command and what it printed may tell what is nobody's business."""
    arguments, folder = proven

    assert 0 == cli.main(arguments)
    assert 0o700 == folder.stat().st_mode & 0o777


def test_ctrl_c_while_the_values_are_computed_says_what_can_still_be_judged(proven, capsys):
    """All was recorded by then."""
    arguments, folder = proven

    def interrupted(_):
        raise KeyboardInterrupt

    assert cli.INTERRUPTED == cli.main(arguments, expect=interrupted)
    told = capsys.readouterr().err
    assert f"interrupted; what was recorded can be judged: baton-prove check {folder}" in told
    assert "before anything was sent" not in told


@pytest.mark.parametrize("ignored", [True, False])
def test_a_closed_terminal_ends_it_unless_that_is_ignored(monkeypatch, ignored):
    """As nohup has it."""
    usual = signal.getsignal(signal.SIGHUP), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("sys.argv", ["baton-prove", "--help"])
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        assert 0 == cli.console()
        assert (signal.SIG_IGN if ignored else signal.default_int_handler) is signal.getsignal(signal.SIGHUP)
        assert signal.default_int_handler is signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, usual[0])
        signal.signal(signal.SIGTERM, usual[1])


def test_no_broker_is_said_in_one_sentence_and_leaves_no_folder(monkeypatch, tmp_path, capsys):
    """An exit code of its own: nothing was proven, and nothing was disproven."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("loadtest.prover.run.ANSWER_S", 0.5)

    assert cli.OWN_FAILURE == cli.main(ASKED)
    assert 1 == len(capsys.readouterr().err.splitlines())
    assert [] == list(tmp_path.iterdir())


def test_the_help_names_the_exit_codes_and_what_calls_it(capsys):
    """Help is no error."""
    assert 0 == cli.main(["--help"], "./baton prove", note="More.")

    text = capsys.readouterr().out
    assert "Exit codes: 0 passed, 1 failed, 2 unknown, 64" in text
    assert "  ./baton prove --bootstrap" in text
    assert '--during "kubectl rollout restart deployment/server && kubectl rollout status deployment/server"' in text
    assert text.endswith("More.\n")


def test_check_judges_again_by_other_rules(tmp_path, capsys):
    """What was forbidden may be allowed, and a bound be stated that was not; verdict and page are written anew."""
    right = proof()
    folder = keep(replace(right, answers=[*right.answers, right.answers[3]]), tmp_path)

    assert [1, 0, 1] == [
        cli.main(["check", str(folder), *more])
        for more in ([], ["--allow", "repeats"], ["--allow", "repeats", "--max-latency", "0.001"])
    ]
    assert "PASSED: 0 of 400 lost: with 95 % confidence fewer than 1 in 133" in capsys.readouterr().out
    assert "failed" == json.loads((folder / VERDICT).read_text())["verdict"]
    assert '<rect class="command"' in (folder / PAGE).read_text()


def test_check_compares_values_that_are_known_later(tmp_path):
    """--expected is kept with the proof, so that the next check compares them too."""
    right = proof(named)
    altered = replace(right.answers[7], prediction=1.0)
    folder = keep(replace(right, answers=[*right.answers[:7], altered, *right.answers[8:]]), tmp_path / "proof")
    lines = tmp_path / "expected.jsonl"
    lines.write_text("".join(f"{line.to_json()}\n" for line in expected()))

    assert [0, 1, 1] == [cli.main(["check", str(folder), *more]) for more in ([], ["--expected", str(lines)], [])]
    assert (folder / EXPECTED).read_text() == lines.read_text()


def test_check_of_a_folder_that_was_cut_short_is_unknown(tmp_path):
    """A last line that was being written counts for nothing, nor does what would have followed."""
    folder = keep(replace(proof(), events=USUAL[:-2]), tmp_path)
    for name in (SENDS, ANSWERS, REQUESTS, EVENTS):
        with (folder / name).open("a") as file:
            file.write('{"torn')

    assert 2 == cli.main(["check", str(folder), "--json"])


@pytest.mark.parametrize("content", [None, "{}", "[]", '{"run": "x"}', "torn"])
def test_check_refuses_what_is_no_proof(tmp_path, content, capsys):
    """With 64, and what it should be."""
    if content is not None:
        (tmp_path / "plan.json").write_text(content)

    assert cli.WRONG_COMMAND_LINE == cli.main(["check", str(tmp_path)])
    assert "FOLDER must be one that a proof wrote" in capsys.readouterr().err


def test_json_is_one_line_for_a_program(tmp_path, capsys):
    """All of the verdict, and where the rest lies."""
    assert 0 == cli.main(["check", str(keep(proof(named), tmp_path)), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert ("passed", str(tmp_path), 10) == (told["verdict"], told["folder"], len(told["invariants"]))


def run_alone(shell, *arguments):
    """The prover as a process of a shell whose locale knows ASCII only."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = ["/bin/sh", "-c", f'"$0" -m loadtest.prover "$@" {shell}', sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env={**inherited(), **locale}, capture_output=True, check=False)


def test_a_locale_of_ascii_alone_is_enough(tmp_path):
    """Files are UTF-8 all the same, and what a terminal cannot show is shown as a question mark."""
    folder = keep(proof(command="echo größer"), tmp_path)

    ended = run_alone("", "check", str(folder))
    assert (0, b"") == (ended.returncode, ended.stderr)
    assert b"? 10 the run could have shown a fault" in ended.stdout
    assert "echo größer" in (folder / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_verdict(tmp_path, closed):
    """As a service that starts it may have them."""
    folder = keep(proof(), tmp_path)

    assert 0 == run_alone(closed, "check", str(folder)).returncode
    assert "passed" == json.loads((folder / VERDICT).read_text())["verdict"]
    assert cli.WRONG_COMMAND_LINE == run_alone(closed, "check", str(folder / "none")).returncode


def test_a_fault_of_the_prover_is_no_verdict(tmp_path, monkeypatch, capsys):
    """70, with its traceback and that it is the prover's."""
    monkeypatch.setattr(cli, "judge", lambda _: 1 / 0)

    assert cli.OWN_FAILURE == cli.main(["check", str(keep(proof(), tmp_path))])
    assert "this is a fault of the prover: ZeroDivisionError" in capsys.readouterr().err


def test_what_stands_in_an_answer_stays_text_in_the_page(tmp_path):
    """A server may say anything."""
    right = proof(named)
    evil = replace(right.answers[5], model_version="<script>alert(1)</script>")
    assert isinstance(evil, Answer)
    folder = keep(replace(right, answers=[*right.answers[:5], evil, *right.answers[6:]]), tmp_path)

    assert 1 == cli.main(["check", str(folder)])
    assert "<script>" not in (folder / PAGE).read_text()
