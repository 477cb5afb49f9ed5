"""Honesty: each link of a proof taken away in turn, and what must be left of the verdict.

A row: capture, number of the mirror in it, what is taken away, the verdict that must come out, and why in a sentence.

    drop LEG                      every packet of the leg's connection (LEG: downstream, original, mirror)
    drop LEG request|response     the packets with its bytes, all copies
    drop LEG response head|middle|last      one segment of the response
    drop LEG acks                 the pure acknowledgements of the response
    drop LEG handshake, drop handshakes     SYNs of its connection; of all
    snap N, snap LEG response N   every packet, or those of a response, cut at N bytes
    start|end before|after LEG request|response     a capture that begins late or ends early
    only requests|responses       one direction of every connection

Where the tool fails a row the tool is wrong, not the row: tests/scripts/test_honesty.py.
"""

from __future__ import annotations

CONTENT_TIME = ("items-client.pcap", 1)  # discarded: content, time
CONTENT = ("items-client.pcap", 2)  # discarded: content
COUNT = ("mix-client.pcap.zst", 3)  # discarded: count
TIME_COUNT = ("mix-client.pcap.zst", 15)  # discarded: time, count
LONG = ("mix-client.pcap.zst", 7)  # discarded: content, time; 200 kB
NGINX = ("nginxmirror-gw.pcap.zst", 12)  # discarded: content; 60 kB, no mark on the copy
LEAK = ("leaky-gw.pcap", 3)
KEPT = ("leaky-gw.pcap", 4)  # discarded: content, beside leaks
NODE = ("items-node.pcap", 2)  # unproven: no-downstream-leg
RETRY = ("retry-client.pcap", 5)  # discarded: content, delivered by the proxy itself (504)
STRIPPED = ("stripped-client.pcap.zst", 2)  # discarded: content; no suffix, no request id

TABLE = [
    # The downstream leg: what the client was given.
    (CONTENT_TIME, "nothing", "discarded: content, time", "the whole capture, for comparison"),
    (CONTENT, "drop downstream", "unproven: no-downstream-leg", "nothing shows what the client was given"),
    (CONTENT, "drop downstream request", "discarded: content", "every response handed down is known and an original's"),
    (
        CONTENT,
        "drop downstream response",
        "unproven: gap",
        "the client's next acknowledgement shows that bytes are missing",
    ),
    (
        CONTENT,
        "drop downstream acks",
        "discarded: content",
        "the bytes are there; what the client acknowledged proves nothing here",
    ),
    (CONTENT, "drop downstream handshake", "discarded: content", "the stream is joined by its numbers"),
    (
        CONTENT,
        "snap downstream response 300",
        "discarded: content",
        "its Content-Length is the original's, and not the mirror's",
    ),
    (
        CONTENT_TIME,
        "snap downstream response 300",
        "discarded: time",
        "the body was cut, but it came before the mirror's",
    ),
    (
        CONTENT_TIME,
        "snap downstream response 120",
        "discarded: time",
        "a head that is cut tells nothing, but the connection ended before the mirror answered",
    ),
    (
        CONTENT,
        "start after downstream request",
        "discarded: content",
        "all responses handed down are known and originals'",
    ),
    (
        CONTENT,
        "end before downstream response",
        "unproven: no-downstream-leg",
        "the capture ends before the client is answered",
    ),
    (
        LONG,
        "drop downstream response middle",
        "unproven: gap",
        "a body with a hole equals nothing, and its last packet may be missing",
    ),
    (
        LONG,
        "drop downstream response last",
        "unproven: gap",
        "when the answer ended is not known: its last byte may have come after the mirror's",
    ),
    (LONG, "drop downstream response head", "unproven: gap", "without its head the response is no response"),
    (COUNT, "drop downstream response", "unproven: gap", "how many were handed down is not known"),
    (TIME_COUNT, "drop downstream response", "unproven: gap", "neither when nor what the client was given is known"),
    (
        KEPT,
        "drop downstream request",
        "unproven: gap",
        "others here were given mirrors' responses: which answer was this one's is not known",
    ),
    (LEAK, "drop downstream", "unproven: no-downstream-leg", "a leak is not proven by what is not there"),
    (LEAK, "drop downstream request", "unproven: no-downstream-leg", "an answer without its request is nobody's"),
    (LEAK, "drop downstream response", "unproven: gap", "what was given was lost"),
    (LEAK, "drop downstream acks", "leaked", "the mirror's bytes stand on the downstream leg"),
    (LEAK, "snap downstream response 300", "unproven: snaplen", "an equal status is no equal body"),
    (RETRY, "drop downstream response", "unproven: gap", "the proxy's own reply was the proof"),
    (
        RETRY,
        "snap downstream response 120",
        "unproven: snaplen",
        "a body under another status may still be the mirror's: it was cut off",
    ),
    # The original: what the client should have been given.
    (CONTENT, "drop original", "unproven: original-not-captured", "the client's answer equals nothing that was seen"),
    (
        CONTENT,
        "drop original request",
        "discarded: content",
        "the client got what originals get here and no mirror ever: the mirror's differs",
    ),
    (
        CONTENT,
        "drop original response",
        "discarded: content",
        "the client got what other originals were given, and no mirror ever",
    ),
    (CONTENT_TIME, "drop original response", "discarded: time", "the client was answered before the mirror was"),
    (CONTENT_TIME, "drop original response last", "discarded: time", "the same with one segment missing"),
    (CONTENT, "snap original response 300", "discarded: content", "the client got what other originals were given"),
    (CONTENT, "drop original acks", "discarded: content", "the response itself is there"),
    (
        CONTENT,
        "start after original request",
        "unproven: original-not-captured",
        "the capture begins between original and copy",
    ),
    (COUNT, "drop original response", "unproven: gap", "one of the two that are counted is gone"),
    (COUNT, "snap original response 300", "discarded: count", "300 bytes still hold the whole body"),
    (LEAK, "drop original response", "unproven: gap", "equal to the mirror's is a leak only if the original's differs"),
    (LEAK, "drop original", "unproven: original-not-captured", "the same"),
    (LEAK, "snap original response 120", "unproven: snaplen", "the same"),
    (NGINX, "drop original", "no mirror", "nothing but the count told that this was a copy"),
    (LONG, "drop original response middle", "discarded: time", "a body with a hole equals nothing; the time is left"),
    (NODE, "drop original", "unproven: original-not-captured", "the suffix alone says that it is a copy"),
    (RETRY, "drop original", "discarded: content", "the client was given 504, the mirror answered 200"),
    # The mirror: what must not be handed on.
    (CONTENT, "drop mirror response", "unproven: gap", "acknowledged bytes are missing: lost, not unanswered"),
    (CONTENT, "drop mirror response head", "unproven: gap", "without its head the response is none"),
    (
        NGINX,
        "drop mirror response",
        "unproven: gap",
        "only the proxy's acknowledgements tell that there was a response",
    ),
    (LONG, "drop mirror response middle", "discarded: time, count", "its body is not known to differ any more"),
    (
        CONTENT,
        "snap mirror response 300",
        "discarded: content",
        "its Content-Length is another than that of the client's body",
    ),
    (CONTENT, "drop mirror acks", "discarded: content", "that it arrived is not part of this proof"),
    (CONTENT, "drop mirror request", "no mirror", "a response alone is not known for a copy's among three"),
    (KEPT, "drop mirror request", "unproven: gap", "placed by order only, where others leaked"),
    (
        LEAK,
        "drop mirror request",
        "leaked",
        "whose copy it answers is not known, but its server gets only copies and the client got its very bytes",
    ),
    (LEAK, "drop mirror response", "unproven: gap", "what leaked is not known to be the mirror's"),
    (LEAK, "snap mirror response 300", "unproven: snaplen", "the same"),
    (CONTENT, "start before mirror request", "unproven: original-not-captured", "the capture begins with the copy"),
    (CONTENT, "start after mirror request", "no mirror", "there is only a response"),
    (CONTENT, "end after mirror request", "unanswered", "the capture ends first"),
    (CONTENT, "drop mirror", "no mirror", "nothing is left of it"),
    (NODE, "drop mirror response", "unproven: gap", "lost, though the downstream leg is missing as well"),
    # All at once.
    (CONTENT, "drop handshakes", "discarded: content", "streams are joined by their numbers"),
    (LEAK, "drop handshakes", "leaked", "the same"),
    (STRIPPED, "drop handshakes", "discarded: content", "the same"),
    (CONTENT, "snap 96", "no mirror", "no request's head is left"),
    (CONTENT, "snap 200", "unproven: snaplen", "heads are cut, bodies are gone"),
    (CONTENT_TIME, "snap 400", "discarded: time", "the responses are whole in time, not in content"),
    (CONTENT, "snap 400", "discarded: content", "the Content-Length of the mirror's is another"),
    (COUNT, "snap 400", "discarded: count", "its packets are short enough"),
    (LEAK, "snap 400", "unproven: snaplen", "equal heads are no leak"),
    (CONTENT, "only requests", "unproven: gap", "the proxy acknowledges a response that the capture has not"),
    (LEAK, "only requests", "unproven: gap", "the same"),
    (NODE, "only requests", "unproven: gap", "the same, though the downstream leg is missing as well"),
    (CONTENT, "only responses", "no mirror", "nothing tells what was asked for"),
    (LEAK, "only responses", "no mirror", "the same: the bytes are there, but whose they are is not"),
]
