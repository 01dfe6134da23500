"""The codec of frames, without any socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors._frames import HEADER, FrameReader, frame
from supervisors.process_errors import FrameError, FrameTooLarge

contents = st.lists(st.binary(max_size=300), max_size=20)


@given(contents, st.lists(st.integers(1, 400), min_size=1))
def test_any_cutting_of_the_stream_gives_the_same_frames(sent: list[bytes], cuts: list[int]):
    stream = b"".join(frame(content) for content in sent)
    reader, received, position = FrameReader(), [], 0
    for turn in range(len(stream) + 1):
        size = cuts[turn % len(cuts)]
        received += reader.feed(stream[position : position + size])
        position += size
    reader.finish()
    assert received == sent


@given(st.binary(max_size=300), st.data())
def test_a_stream_that_ends_inside_a_frame_is_an_error(content: bytes, data: st.DataObject):
    whole = frame(content)
    reader = FrameReader()
    assert reader.feed(whole[: data.draw(st.integers(1, len(whole) - 1))]) == []
    with pytest.raises(FrameError, match="inside a frame"):
        reader.finish()


@given(st.integers(0, 100))
def test_the_limit_holds_in_both_directions(limit: int):
    """What may be sent may be received, and one byte more may not be either."""
    reader = FrameReader(limit)
    assert reader.feed(frame(bytes(limit), limit)) == [bytes(limit)]
    with pytest.raises(FrameTooLarge):
        frame(bytes(limit + 1), limit)
    with pytest.raises(FrameTooLarge) as caught:
        reader.feed(frame(bytes(limit + 1)))
    assert (caught.value.size, caught.value.limit) == (limit + 1, limit)


def test_a_frame_over_the_limit_is_refused_by_its_header_alone():
    """Nothing is collected for a frame that will not be accepted."""
    with pytest.raises(FrameTooLarge):
        FrameReader(limit=10).feed((2**32 - 1).to_bytes(HEADER, "big"))
