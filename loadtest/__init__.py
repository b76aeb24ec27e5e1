"""Load against Kafka, and the ledger that proves that nothing was dropped."""
