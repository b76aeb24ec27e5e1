"""Hadoop's own tool for administrators, from its published jars: what a person would do to a real HDFS."""

import subprocess

from apps.common.waiting import wait_until
from stack.java import jars, java_command

DONE_S = 60
TOOL = "org.apache.hadoop.hdfs.tools.DFSAdmin"


class HdfsAdmin:
    """One HDFS in the hands of its administrator."""

    def __init__(self, address, folder):
        """``address`` is its URL, ``folder`` the tool's for what is temporary."""
        self.address = address
        self.folder = folder

    def _run(self, *words):
        """Until it is done: a busy NameNode closes a connection now and then, and a person would ask again."""
        command = java_command("-Xmx64m", [f"{jars('hdfs')}/*"], TOOL, self.folder)
        said = []

        def done():
            ended = subprocess.run([*command, "-fs", self.address, *words], capture_output=True, text=True, check=False)
            said.append(ended.stderr[-1000:])
            return ended.returncode == 0

        wait_until(done, DONE_S, lambda: f"{' '.join(words)} must be done; {said[-1]}")

    def safe_mode(self, *, on):
        """Take no file, or take them again."""
        self._run("-safemode", "enter" if on else "leave")

    def full(self, folder, *, on):
        """Have no room for a block below a folder, as when every disk is full, or have it again."""
        words = ("-setSpaceQuota", "1") if on else ("-clrSpaceQuota",)
        self._run(*words, folder)
