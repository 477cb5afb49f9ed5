"""The second reading: heads and bodies of what is shown."""
