"""The HTML report: one page for a ticket or a class."""
