"""An HTTP door beside Kafka: a request in, its Kafka request out, its answer back."""
