"""The exit codes of the apps, for whoever starts one and decides by them; any other is a crash."""

DONE = 0
FAILED = 1  # something has to be mended first; the log says what
NOTHING_LEFT = 3  # the batch dropper: every slice has been dropped
