"""Evidence: when did the imbalance actually predict moves, and when did it not?"""
