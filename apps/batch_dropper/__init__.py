"""Drops train slices into HDFS and replays the test part as requests."""
