"""What is shown, as objects and as columns."""
