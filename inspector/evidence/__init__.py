"""The packets of the proof: chosen, written as pcapng, anonymised on request."""
