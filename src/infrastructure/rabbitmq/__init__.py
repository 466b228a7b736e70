"""RabbitMQ as a broker, and as a channel for events."""
