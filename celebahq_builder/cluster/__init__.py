"""The builder on several machines: Ray carries the tasks; here is what they are, and what a node must be like."""
