"""Port 2: how a watcher starts a training and rolls out a release, whatever runs them."""
