"""Answers Kafka requests with Kafka predictions, always."""
