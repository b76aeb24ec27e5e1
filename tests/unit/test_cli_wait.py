"""``./baton wait`` as scripts use it: exit codes and JSON."""

import json


def test_what_is_not_so_in_time_gives_exit_code_1(checkout):
    """A stack that is down is not ready: exit code 1, the last state in words and as JSON."""
    code, out, err = checkout.run("wait", "ready", "--timeout", "0.2", "--json")
    answer = json.loads(out)

    assert 1 == code
    assert (answer["condition"], answer["reached"]) == ("ready", False)
    assert "every service must be ready; got none; run ./baton up" in answer["reason"]
    assert answer["reason"] in err.replace("\n", " ")


def test_a_version_and_a_batch_need_a_name(checkout):
    """A wrong command line is exit code 2, with the right one in its words."""
    nameless = checkout.run("wait", "version")
    named = checkout.run("wait", "ready", "2")

    assert (2, 2) == (nameless[0], named[0])
    assert "name the version: ./baton wait version NAME" in nameless[2]
    assert "ready takes no name" in named[2]
