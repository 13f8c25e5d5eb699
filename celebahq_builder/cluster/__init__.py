"""The builder on several machines: Ray carries the tasks, this room says what they are and what a node must be like."""
