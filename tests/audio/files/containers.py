"""Audio of the kinds that FFmpeg decodes, made by PyAV as it is needed."""

import tempfile
from pathlib import Path

import av
import numpy as np

# (container, codec, rate)
KINDS = {
    "aac.m4a": ("ipod", "aac", 44100),
    "alac.m4a": ("ipod", "alac", 44100),
    "opus.mp4": ("mp4", "libopus", 48000),
    "opus.webm": ("webm", "libopus", 48000),
    "raw.aac": ("adts", "aac", 44100),
    "wma.wma": ("asf", "wmav2", 44100),
    "wv.wv": ("wv", "wavpack", 44100),
}


def glide(duration_s, rate_hz, *, hz=300, num_channels=2):
    """Float32 [C, T]: a glide with some noise."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).standard_normal((num_channels, len(time_s)))
    sound = 0.3 * np.sin(2 * np.pi * hz * time_s * (1 + time_s / 3)) + 0.05 * noise
    return sound.astype(np.float32)


def encoded(kind, *, duration_s=2.0, sounds=None, options=None, bit_rate=128_000, picture=False):
    """The bytes of a file of a kind in `KINDS`, with a stream for each of `sounds` [C, T]."""
    container, codec, rate_hz = KINDS[kind]
    sounds = sounds or [glide(duration_s, rate_hz)]
    # A file of its own, as FFmpeg reads it again to bring its tables to the front ("faststart").
    with (
        tempfile.NamedTemporaryFile() as written,
        av.open(written.name, "w", format=container, options=options or {}) as file,
    ):
        if picture:
            video = file.add_stream("mpeg4", rate=1)
            video.width = video.height = 16
        streams = [file.add_stream(codec, rate=rate_hz, layout="stereo") for _ in sounds]
        if codec not in ("alac", "wavpack"):
            for stream in streams:
                stream.bit_rate = bit_rate
        if picture:
            file.mux(video.encode(av.VideoFrame(16, 16, "yuv420p")))
        for stream, sound in zip(streams, sounds, strict=True):
            for start in range(0, sound.shape[1], 4096):
                block = np.ascontiguousarray(sound[:, start : start + 4096])
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = rate_hz, start
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        if picture:
            file.mux(video.encode(None))
        file.close()
        return Path(written.name).read_bytes()
