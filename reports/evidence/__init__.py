"""Evidence, or its absence: when the imbalance predicted moves, and when it did not."""
