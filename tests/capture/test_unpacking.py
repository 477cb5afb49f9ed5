"""What is read of a compressed capture, damaged or not, depends on its bytes alone: not on how much is asked for at once, nor on
the portions in which they arrive."""

import bz2
import gc
import gzip
import io
import itertools
import lzma
import random
import weakref
import zlib

import lz4.frame
import pytest
import zstandard
from capture_files import pcap, read
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.capture import open_captures
from inspector.capture.source import STEPS, Damaged, Decompressed, FileSource, Peeked, Zstandard
from inspector.errors import CaptureError

DICE = random.Random(5)
WORDS = [DICE.randbytes(DICE.randrange(1, 40)) for _ in range(60)]
PLAIN = pcap([b"".join(DICE.choices(WORDS, k=DICE.randrange(1, 30))) for _ in range(80)])
PACK = {
    "gz": lambda b: gzip.compress(b, mtime=0),
    "zst": lambda b: zstandard.ZstdCompressor(write_checksum=True).compress(b),
    "xz": lzma.compress,
    "lz4": lambda b: lz4.frame.compress(b, block_size=lz4.frame.BLOCKSIZE_MAX64KB, content_checksum=True),
}
MEMBERS = {kind: pack(PLAIN) + pack(PLAIN[:900]) + pack(b"") + pack(PLAIN) for kind, pack in PACK.items()}


class Portions(io.RawIOBase):
    """A file that gives at most so many bytes at once, as a pipe does."""

    def __init__(self, data, portion):
        self.inner = io.BytesIO(data)
        self.portion = portion

    def readable(self):
        return True

    def readinto(self, view):
        return self.inner.readinto(memoryview(view)[: self.portion])


def opened(data, kinds, portion=1 << 20):
    source = Peeked(FileSource(Portions(data, portion)))
    for kind in kinds:
        source = Peeked(Zstandard(source) if kind == "zst" else Decompressed(source, kind))
    return source


def unpacked(source, sizes):
    """All bytes, and what they end with; `sizes` are asked for in turn."""
    out = b""
    for size in itertools.cycle(sizes):
        try:
            chunk = source.read(size)
        except Damaged as error:
            with pytest.raises(Damaged, match="the"):  # it stays so
                source.read(size)
            return out, str(error)
        if not chunk:
            return out, ""
        out += chunk
    raise AssertionError("never ends")


def dull(data, kind):
    """What the library gives when it is handed one byte after another: nothing is lost but what damage really hides."""
    out = b""
    make = {
        "gz": lambda: zlib.decompressobj(31),
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "zst": lambda: zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(),
    }[kind]
    member, started = make(), False
    for i in range(len(data)):
        byte = data[i : i + 1]
        if not started and byte == b"\0" and kind != "zst":
            continue
        try:
            out += member.decompress(byte)
        except Exception:
            return out
        started = not member.eof
        if member.eof:
            member = make()
    return out


@st.composite
def damage(draw, data):
    """Bytes changed, cut out, repeated, put in; the end cut off; anything behind it."""
    out = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(out) - 1))
        what = draw(st.integers(0, 4))
        if what == 0:
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif what == 1:
            del out[at : at + draw(st.integers(1, 300))]
        elif what == 2:
            out[at:at] = out[at : at + draw(st.integers(1, 300))]
        elif what == 3:
            out[at:at] = draw(st.binary(max_size=9))
        else:
            del out[at:]
        if not out:
            break
    return bytes(out) + draw(st.sampled_from([b"", b"", b"\0" * 700, b"\0" * 200_000, b"garbage", data[:30], data]))


SIZES = st.lists(
    st.sampled_from([1, 2, 3, 7, 100, 511, 4096, 4097, 65_536, 1 << 20]) | st.integers(1, 9000), min_size=1
)


@pytest.mark.parametrize("kind", PACK)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_damage_gives_the_same_whatever_is_asked_for(kind, data):
    packed = data.draw(damage(MEMBERS[kind]))
    once = unpacked(opened(packed, [kind]), [1 << 22])
    portion = data.draw(st.sampled_from([1, 17, 255, 5000, 1 << 20]))
    assert unpacked(opened(packed, [kind], portion), data.draw(SIZES)) == once
    assert unpacked(opened(packed, [kind]), [1]) == once
    if packed[:4] == MEMBERS[kind][:4]:
        other = dull(packed, kind)
        least = len(other) - {"gz": 1, "zst": 0}.get(kind, STEPS[kind])
        assert once[0][:least] == other[: max(least, 0)] or least < 0
        assert kind == "zst" or len(once[0]) <= len(other) + 1


@pytest.mark.parametrize("outer", PACK)
@pytest.mark.parametrize("inner", PACK)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_compression_around_another_too(outer, inner, data):
    packed = data.draw(damage(PACK[outer](MEMBERS[inner])))
    once = unpacked(opened(packed, [outer, inner]), [1 << 22])
    assert unpacked(opened(packed, [outer, inner], data.draw(st.integers(1, 999))), data.draw(SIZES)) == once


def told(data, block_bytes):
    try:
        got = read(data, block_bytes)
    except CaptureError as error:
        return str(error)
    return got.frames, got.info


@pytest.mark.parametrize("kind", PACK)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_reader_tells_the_same_with_blocks_of_any_size(kind, data):
    """Packets, counted faults, and the offset in the sentence about them."""
    packed = data.draw(damage(MEMBERS[kind]))
    assert told(packed, data.draw(st.integers(1024, 1 << 16))) == told(packed, 4 << 20)


@pytest.mark.parametrize("kind", ["gz", "xz", "lz4"])
def test_what_stands_before_damage_is_read(kind):
    """A bit is wrong at three quarters of a capture that is asked for all at once."""
    noisy = pcap([DICE.randbytes(900) for _ in range(500)])
    packed = bytearray(
        lz4.frame.compress(noisy, block_size=lz4.frame.BLOCKSIZE_MAX64KB) if kind == "lz4" else PACK[kind](noisy)
    )
    packed[len(packed) * 3 // 4] ^= 16
    got = unpacked(opened(bytes(packed), [kind]), [1 << 22])[0]
    assert len(got) >= len(noisy) // 2


def test_padding_longer_than_a_piece_hides_no_member():
    packed = PACK["gz"](b"one") + b"\0" * 400_000 + PACK["gz"](b"two")
    assert unpacked(opened(packed, ["gz"]), [1 << 20]) == (b"onetwo", "")
    assert unpacked(opened(packed, ["gz"], 1000), [1]) == (b"onetwo", "")


def test_a_member_of_another_kind_is_no_xz():
    """Old lzma data has no magic number: bytes behind an xz must not be taken for some."""
    packed = PACK["xz"](b"one") + lzma.compress(b"two", lzma.FORMAT_ALONE)
    got, why = unpacked(opened(packed, ["xz"]), [1 << 20])
    assert (got, "damaged" in why) == (b"one", True)


def test_many_members_cost_what_their_bytes_cost():
    """What a member leaves over is not copied for each member: bytes handed to the library are counted."""
    handed = []

    class Counting(Decompressed):
        def _step(self, room):
            take = self.feed.take
            self.feed.take = lambda count: handed.append(min(count, len(self.feed.chunk))) or take(count)
            try:
                return super()._step(room)
            finally:
                self.feed.take = take

    packed = PACK["gz"](b"x") * 5000
    source = Peeked(Counting(Peeked(FileSource(io.BytesIO(packed))), "gz"))
    assert unpacked(source, [1 << 20]) == (b"x" * 5000, "")
    assert sum(handed) < 16 * len(packed)


def test_a_zst_that_was_read_is_forgotten():
    """zstandard's objects are not seen by Python's collector: one in a circle stays for ever, with its window."""
    source = opened(PACK["zst"](PLAIN), ["zst"])
    assert unpacked(source, [1 << 20])[0] == PLAIN
    gone = weakref.ref(source.inner)
    del source
    gc.collect()
    assert gone() is None


def test_open_compressed_files_that_are_damaged_are_told(tmp_path):
    """Whoever hands over an open gzip, bz2 or lzma file gets the same sentences."""
    for name, module, pack in (("gz", gzip, PACK["gz"]), ("bz2", bz2, bz2.compress), ("xz", lzma, PACK["xz"])):
        path = tmp_path / f"cut.{name}"
        path.write_bytes(pack(PLAIN * 40)[:-20])
        with module.open(path) as file:
            try:
                (reader,) = open_captures(file, block_bytes=1024)
                for _ in reader.blocks():
                    pass
            except CaptureError:
                continue
        assert reader.info.dropped_tail
        assert "None" not in reader.info.warnings[-1]


def test_a_zst_block_is_fetched_and_unpacked_by_one_call():
    plain = b"".join(b"GET /items/%d HTTP/1.1\r\n" % k for k in range(200_000))
    source, view, asked, given = opened(PACK["zst"](plain), ["zst"]).inner, memoryview(bytearray(1 << 17)), [], []
    read = source.frames.read
    source.frames.read = lambda count: asked.append(count) or read(count)
    while count := source.readinto(view):
        given.append(count)
    assert sum(given) == len(plain)
    blocks = -(-len(plain) // (1 << 17))
    assert len(given) == blocks
    assert len(asked) <= blocks + 3  # the checksum, the end
