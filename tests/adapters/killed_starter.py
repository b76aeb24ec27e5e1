"""A program that is killed, and what it had started."""

import subprocess
import sys

import psutil

from apps.common.waiting import wait_until

GONE_S = 15


def modules_that_end_with_a_killed_starter(program, environment, folder):
    """
    Run ``program`` until it prints ``started``, kill it, and wait until all is gone that it had started.

    The words of the commands of that: the modules among them.
    """
    command = [sys.executable, "-c", program, str(folder)]
    starter = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert b"started\n" == starter.stdout.readline()
    started = psutil.Process(starter.pid).children(recursive=True)
    starter.kill()
    starter.communicate()
    words = {word for one in started for word in one.cmdline()}
    wait_until(lambda: not [one for one in started if one.is_running()], GONE_S, lambda: str(started))
    return words
