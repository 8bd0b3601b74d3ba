"""The parts of the credit-risk scenario."""
