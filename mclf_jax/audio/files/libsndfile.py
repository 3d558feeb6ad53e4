"""libsndfile's decoder, as it is to be used: read on from where it is, sought far enough before."""

import soundfile

from mclf_jax.audio.files import ffmpeg
from mclf_jax.audio.files.ranges import Ranges

# A page of Ogg holds at most 255 packets of Vorbis, and a packet at most 1024 frames as encoders
# write it: the last page begins no earlier than this before the end.
_OGG_LAST_PAGE_FRAMES = 1 << 18
_OGG_PREROLL_FRAMES = 1 << 13
_MP3_PREROLL_FRAMES = 20 * 1152  # the bit reservoir reaches back 511 bytes: 10 frames at 32 kbit/s
_MPEG1_LOWEST_RATE_HZ = 32_000


class Decoder(soundfile.SoundFile):
    """A file that reads on from where it is.

    `SoundFile.read` seeks to its own position after each read of a seekable file. For MP3 and Opus
    that resets the decoder, so that a file read in blocks differs from the file read at once by
    as much as the signal. It leaves that out where the file says that it is not seekable; `seek`
    works all the same.
    """

    def __init__(self, given: bytes | Ranges):
        self._given = given
        super().__init__(given)

    def seekable(self) -> bool:
        return False

    def can_seek(self) -> bool:
        return super().seekable()

    def close(self) -> None:
        super().close()
        if isinstance(self._given, Ranges):
            self._given.close()


def first_exact_frame(file: Decoder | ffmpeg.Decoder, frame: int) -> int:
    """Where to begin decoding so that `frame` comes out as it does in the whole file.

    libsndfile's seek is not exact in every format (measured with 1.2.2; its issue 885):

    - In the last page of an Ogg stream it is off by up to a block, as that page's end is trimmed.
      That page can be the last seconds, so decoding begins before it.
    - In MP3 the frames after a seek lack the bit reservoir. Some frames of run-up cure that, but
      in the half-rate MPEG-2 kinds mpg123 writes an error to stderr for each, so those are decoded
      from their start, at over a thousand times real time.
    """
    if not file.can_seek():
        return 0
    if file.format == "OGG":
        return max(0, min(frame - _OGG_PREROLL_FRAMES, file.frames - _OGG_LAST_PAGE_FRAMES))
    if file.format == "MP3" or file.subtype.startswith("MPEG"):
        if file.samplerate < _MPEG1_LOWEST_RATE_HZ:
            return 0
        return max(0, frame - _MP3_PREROLL_FRAMES)
    return frame
