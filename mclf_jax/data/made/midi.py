"""A score as a standard MIDI file: what was played, for whoever wants to see or to hear it."""

import struct

from mclf_jax.data.made.programs import DRUMS
from mclf_jax.data.made.score import Score

_TICKS_PER_BEAT = 480
_DRUM_CHANNEL = 9


def to_midi(score: Score) -> bytes:
    """A file of format 1, a track for each part; drums are on channel 10.

    Times are to 1 / 480 of a beat; a score without tempo has 120 beats a minute.
    """
    tempo_bpm = score.tempo_bpm or 120.0
    beat_us = round(60e6 / tempo_bpm)
    tracks = [_track([(0, b"\xff\x51\x03" + beat_us.to_bytes(3, "big"))])]
    channels = iter([channel for channel in range(16) if channel != _DRUM_CHANNEL])
    for part in score.parts:
        channel = _DRUM_CHANNEL if part.program == DRUMS else next(channels)
        volume = round(127 * 10 ** (part.level_db / 40))  # General MIDI: 40 log10(volume / 127) dB
        events = [(0, bytes([0xB0 | channel, 7, volume]))]
        if part.program != DRUMS:
            events.append((0, bytes([0xC0 | channel, part.program])))
        for onset_s, length_s, pitch, velocity in part.notes:
            first, last = (
                round(at_s * 1e6 / beat_us * _TICKS_PER_BEAT)
                for at_s in (onset_s, onset_s + length_s)
            )
            events.append((first, bytes([0x90 | channel, int(pitch), int(velocity)])))
            events.append((max(last, first + 1), bytes([0x80 | channel, int(pitch), 0])))
        tracks.append(_track(events))
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), _TICKS_PER_BEAT)
    return header + b"".join(tracks)


def _track(events: list[tuple[int, bytes]]) -> bytes:
    body, now = b"", 0
    # Sorted by time alone would let a note end after it begins again.
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] >> 4 == 9)):
        body += _variable(tick - now) + message
        now = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def _variable(number: int) -> bytes:
    """A number in sevens of bits, the highest first."""
    found = [number & 127]
    while number := number >> 7:
        found.append(number & 127 | 128)
    return bytes(reversed(found))
