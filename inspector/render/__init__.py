"""Inspection -> text. Each renderer is pure: views in, strings out."""
