"""A simulator with known truth: clients, proxies, servers and captures of them, written from the rules of the wire.

Nothing but `running.py` imports inspector, and that as a user would.
"""
