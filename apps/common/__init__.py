"""What every app shares: settings, messages, batches, errors. It imports no app."""
