"""Audio files as encoders, recorders and broken downloads leave them."""

import io

import numpy as np
import soundfile

# (container, subtype, rate, further options)
FORMATS = {
    "wav": ("WAV", "PCM_16", 22050, {}),
    "float.wav": ("WAV", "FLOAT", 22050, {}),
    "aiff": ("AIFF", "PCM_16", 22050, {}),
    "flac": ("FLAC", "PCM_16", 22050, {}),
    "ogg": ("OGG", "VORBIS", 22050, {}),
    "opus": ("OGG", "OPUS", 48000, {}),
    "mp3": ("MP3", "MPEG_LAYER_III", 44100, {}),
    "vbr.mp3": (
        "MP3",
        "MPEG_LAYER_III",
        44100,
        {"bitrate_mode": "VARIABLE", "compression_level": 0.6},
    ),
    "low.mp3": ("MP3", "MPEG_LAYER_III", 22050, {}),
}


def encoded(kind, *, duration_s, num_channels=1, hz=300, rate_hz=None):
    """The bytes of a file of a kind in `FORMATS`: a glide with some noise."""
    container, subtype, usual_rate_hz, options = FORMATS[kind]
    rate_hz = rate_hz or usual_rate_hz
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    noise = np.random.default_rng(num_channels).standard_normal((len(time_s), num_channels))
    sound = 0.3 * np.sin(2 * np.pi * hz * time_s * (1 + time_s / 3))[:, None] + 0.05 * noise
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate_hz, num_channels, format=container, subtype=subtype, **options
    ) as file:
        for start in range(0, len(sound), 4096):  # libsndfile's Vorbis dies of much at once
            file.write(sound[start : start + 4096])
    return buffer.getvalue()


def mp3_frames(data):
    """Offsets of the frames of an MP3 of MPEG-1 (32 to 48 kHz), found one byte at a time."""
    kbits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    rates_hz, at, found = (44100, 48000, 32000), 0, []
    while at + 4 <= len(data):
        bits, rate, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
        if data[at] == 0xFF and data[at + 1] & 0xE0 == 0xE0 and 0 < bits < 15 and rate < 3:
            found.append(at)
            at += 144000 * kbits[bits] // rates_hz[rate] + padding
        else:
            at += 1
    return found


def damaged_songs(root):
    """Songs of the labels a and b in subfolders of `root`; most of them are damaged."""
    whole = encoded("vbr.mp3", duration_s=3)
    frames = mp3_frames(whole)
    contents = {
        "a/whole.mp3": whole,
        "a/no_count.mp3": whole[frames[1] :],
        "a/cut.mp3": whole[: len(whole) // 2],
        "b/joined.mp3": 2 * whole[frames[1] :],
        "b/junk.mp3": whole[: frames[40]] + b"\0AB\xff\xfe" * 400 + whole[frames[40] :],
        "b/chained.ogg": 2 * encoded("ogg", duration_s=2),
        "b/lost.flac": encoded("flac", duration_s=2)[:-9000] + bytes(9000),
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    loud = 16000 * np.sin(np.arange(32000) / 6)
    soundfile.write(root / "a" / "loud.wav", loud, 16000, subtype="FLOAT")


def damaged(content, *, others, rng):
    """One or two of: bytes changed at the start or anywhere, cut off or out, doubled, junk put in,
    another file joined, zeroed."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 3)):
        size = max(1, len(content))
        position = int(rng.integers(size))
        match rng.integers(9):
            case 0 | 1:
                for at in rng.integers(min(100, size), size=rng.integers(1, 6)):
                    content[at : at + 1] = bytes([rng.integers(256)])
            case 2:
                for at in rng.integers(size, size=rng.integers(1, 30)):
                    content[at : at + 1] = bytes([rng.integers(256)])
            case 3:
                del content[position:]
            case 4:
                del content[position : position + int(rng.integers(1, 2000))]
            case 5:
                content[position:position] = content[position : position + 500]
            case 6:
                content[position:position] = rng.bytes(int(rng.integers(1, 5000)))
            case 7:
                content += others[rng.integers(len(others))]
            case 8:
                content[position : position + 500] = bytes(500)
    return bytes(content)
