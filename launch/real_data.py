"""Makes labelled sets of what launch/real_data.sh has unpacked: audio, manifest.csv, licences.

Names of files and of instruments say what is heard. All of a set is brought to one sample rate,
one channel, one codec and one loudness, so that none of these gives a label away.
"""

import csv
import fnmatch
import re
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from mclf_jax.audio.decode import AudioError, read_audio
from mclf_jax.common import checks, progress


class Sound(NamedTuple):
    """A file of a package, what it is, and what it must not be separated from."""

    file: Path
    label: str  # empty: nobody says
    group: str
    licence: str
    package: str
    split: str = ""  # empty: the library decides, by group


# The first that is found in the name of an instrument of a drum kit, without its parentheses.
_DRUMS = {
    "": r"^\s*\d*\s*$|^none$|^sample|(?<!bass )\bdrum \d|- *$",  # pads without a name
    "cymbal": r"crash|ride|cymbal|china|splash|paiste bell",
    "hi-hat": r"hi-? ?hat|\bhat\b|hh",
    "other": r"stick|click|rim click|djembe|sangban|dununba|kenkeni",
    "snare": r"snare|rimshot|redo",
    "kick": r"kick|bass ?drum",
    "tom": r"tom",
}
# By their makers, whose kits may share recordings, and so stay in one split.
_MAKERS = {
    "ElectricEmpireKit": "Artemio",
    "HardElectro1": "Artemio",
    "VariBreaks": "Artemio",
    "Millo-Drums_v.1": "Millo",
    "Millo_MultiLayered2": "Millo",
    "Millo_MultiLayered3": "Millo",
    "Gimme A Hand 1.0": "MacArthur",
    "The Black Pearl 1.0": "MacArthur",
}
_HELD_OUT = {
    "ForzeeStereo": "test",
    "Audiophob": "test",
    "Millo-Drums_v.1": "valid",
    "Millo_MultiLayered2": "valid",
    "Millo_MultiLayered3": "valid",
}
# The first that is found at the start of the name of a sample, as its package has it.
_INSTRUMENTS = {
    "lmms-common": {
        "loop": r"bassloops/|beats/",
        "bass": r"basses/|instruments/bassslap",
        "kick": r"drums/(bassdrum|kick)",
        "snare": r"drums/(snare|nasty_snare)",
        "cymbal": r"drums/(hihat|crash|ride)",
        "tom": r"drums/tom",
        "guitar": r"instruments/steel_guitar|latin/latin_guitar",
        "keys": r"instruments/(church_organ|e_organ|e_piano|harpsichord|piano)",
        "strings": r"stringsnpads/|instruments/(violin|cello)",
        "effect": r"effects/",
    },
    "sonic-pi-samples": {
        "loop": r"loop_",
        "bass": r"bass_",
        "kick": r"bd_|drum_(bass|heavy_kick)|elec_(hollow|soft)_kick",
        "snare": r"sn_|drum_snare|elec_\w*snare",
        "cymbal": r"drum_(cymbal|splash)|elec_cymbal",
        "tom": r"drum_tom|elec_fuzz_tom",
        "tabla": r"tabla_",
        "guitar": r"guit_",
        "keys": r"ambi_piano",
        "strings": r"ambi_choir",
        "effect": r"vinyl_|glitch_|mehackit_|ambi_",
    },
}
_SAMPLES = {
    "lmms-common": "usr/share/lmms/samples",
    "sonic-pi-samples": "usr/share/sonic-pi/samples",
}
# Where the music of a game lies in its package, and its name.
_GAMES = {
    "colobot-common-sounds": ("colobot", "usr/share/games/colobot/music"),
    "hyperrogue-music": ("hyperrogue", "usr/share/hyperrogue/music"),
    "singularity-music": ("singularity", "usr/share/games/singularity/music"),
    "supertux-data": ("supertux", "usr/share/games/supertux2/music"),
    "warzone2100-music": ("warzone2100", "usr/share/games/warzone2100/music"),
    "wesnoth-1.16-music": ("wesnoth", "usr/share/games/wesnoth/1.16/data/core/music"),
}
# Of packages whose copyright file is prose: what it says.
_IN_PROSE = {"singularity-music": "CC-BY-SA-3.0", "wesnoth-1.16-music": "GPL-2+"}
# Tracks of two names, or with a passage in common, as `mclf data check` found them.
_SAME_AS = {
    ("colobot", "infinite"): "music008",
    ("supertux", "theme"): "christmas",
}
_SHORTEST_S = 0.02
_PADDED_S = 0.2  # the library skips what is shorter than an eighth of a second
_SHORTEST_TRACK_S = 15.0
# (sample rate, seconds at most, level, what of a sound has that level)
_FORMATS = {
    "drums": (22050, 3.0, 0.5, "peak"),
    "instruments": (22050, 4.0, 0.5, "peak"),
    # Below 8 kHz, which every codec of these keeps.
    "soundtracks": (16000, 60.0, 0.1, "rms"),
}


def drums(packages: Path) -> Iterator[Sound]:
    """Hits of the kits of hydrogen-drumkits, named in each drumkit.xml."""
    package = "hydrogen-drumkits"
    licences = read_licences(packages / package)
    for kit in sorted((packages / package / "usr/share/hydrogen/data/drumkits").iterdir()):
        labels = {}
        for name, files in instruments_of(kit / "drumkit.xml"):
            for file in files:
                labels.setdefault(file, drum_label(name))
        listed = kit.name.removesuffix(" v4")  # as the copyright file names it
        licence = licence_of(f"drumkits/{listed}.h2drumkit", licences)
        for file, label in sorted(labels.items()):
            if (kit / file).is_file() and not file.startswith("emptySample"):
                group = _MAKERS.get(kit.name, kit.name)
                split = _HELD_OUT.get(kit.name, "train") if label else "unlabelled"
                yield Sound(kit / file, label, group, licence, package, split)


def instruments(packages: Path) -> Iterator[Sound]:
    """Sounds of LMMS and Sonic Pi; variants of one sound are a group."""
    for package, folder in _SAMPLES.items():
        licences = read_licences(packages / package)
        root = packages / package / folder
        for file in sorted(root.rglob("*.*")):
            name = file.relative_to(root).as_posix()
            label = first_of(_INSTRUMENTS[package], name, at="start")
            if file.suffix in (".ogg", ".flac") and label:
                licence = licence_of(f"etc/samples/{name}", licences)
                yield Sound(file, label, variant(f"{package}/{name}"), licence, package)


def soundtracks(packages: Path) -> Iterator[Sound]:
    """Music of games, by game; variants of one track are a group."""
    for package, (game, folder) in _GAMES.items():
        licences = read_licences(packages / package)
        root = packages / package / folder
        for file in sorted(root.rglob("*.*")):
            if file.suffix in (".ogg", ".opus"):
                licence = _IN_PROSE.get(package) or licence_of(f"data/music/{file.name}", licences)
                track = variant(file.name)
                group = f"{game}/{_SAME_AS.get((game, track), track)}"
                yield Sound(file, game, group, licence, package)


def drum_label(name: str) -> str:
    """What an instrument of a drum kit is; empty where its name does not say.

    >>> drum_label('Ride (Custom, Zagrebin 22")'), drum_label("Tom Low"), drum_label("17")
    ('cymbal', 'tom', '')
    """
    label = first_of(_DRUMS, re.sub(r"\(.*?\)", "", name.lower()), at="anywhere")
    return "other" if label is None else label


def first_of(patterns: dict[str, str], name: str, *, at: str) -> str | None:
    """The first label whose pattern is in a name, at its start or anywhere; None: none is."""
    find = {"start": re.match, "anywhere": re.search}[at]
    return next((label for label, pattern in patterns.items() if find(pattern, name)), None)


def variant(name: str) -> str:
    """The same for all variants of a sound: what follows its name, and numbers, do not count.

    Numbers do where they are all that tells tracks apart.

    >>> variant("drums/kick_01.ogg"), variant("forest2.ogg"), variant("track3_enhanced.opus")
    ('drums/kick', 'forest', 'track3')
    """
    stem = name.rpartition(".")[0].lower()
    words = "old|remix|enhanced|epic|map|soft|hard|theme|accord|slight|medium|heavy|distorted"
    stem = re.sub(rf"([_-]({words})\d*)+$", "", stem)
    without = re.sub(r"[_-]?\d+$", "", stem)
    return stem if without in ("", "music", "track") else without


def instruments_of(file: Path) -> Iterator[tuple[str, list[str]]]:
    """(name, names of files) of the instruments of a Hydrogen kit, whatever version wrote it."""
    for node in xml.etree.ElementTree.parse(file).getroot().iterfind(".//{*}instrument"):
        name = node.find("{*}name")
        files = [one.text for one in node.iterfind(".//{*}filename") if one.text]
        yield (name.text or "" if name is not None else ""), files


def read_licences(package: Path) -> list[tuple[list[str], str]]:
    """(patterns, licence) of the paragraphs of a machine-readable debian/copyright, in order."""
    (file,) = package.glob("usr/share/doc/*/copyright")
    found = []
    for paragraph in file.read_text(encoding="utf-8").split("\n\n"):
        fields, name = {}, ""
        for line in paragraph.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
                if name == "License":  # the text follows
                    name = ""
        if "Files" in fields and "License" in fields:
            found.append((fields["Files"].split(), fields["License"]))
    return found


def licence_of(path: str, licences: list[tuple[list[str], str]]) -> str:
    """Of a file: the last paragraph whose pattern fits decides, as Debian's policy says.

    >>> licence_of("a/b.ogg", [(["*"], "GPL-2+"), (["a/*"], "CC0"), (["c"], "MIT")])
    'CC0'
    """
    fitting = [
        licence
        for patterns, licence in licences
        if any(fnmatch.fnmatchcase(path, one) for one in patterns)
    ]
    if not fitting:
        raise ValueError(f"no licence stands in debian/copyright for {path}")
    return fitting[-1]


def write(name: str, sounds: list[Sound], folder: Path) -> int:
    """Decodes, levels and writes the sounds of a set and its manifest; returns how many."""
    rate_hz, longest_s, level, of = _FORMATS[name]
    shortest_s = _SHORTEST_TRACK_S if name == "soundtracks" else _SHORTEST_S
    rows, taken = [], set()
    bar = progress.bar(total=len(sounds), title=name, unit="sound")
    for sound in sounds:
        bar.update()
        try:
            audio = read_audio(
                sound.file, sample_rate_hz=rate_hz, num_samples=int(longest_s * rate_hz)
            )
        except AudioError as error:
            progress.say(f"skipped {error}")
            continue
        loud = np.abs(audio).max(initial=0) if of == "peak" else np.sqrt(np.mean(audio**2))
        if len(audio) < shortest_s * rate_hz or loud < 1e-4:
            continue
        audio = np.clip(audio * level / loud, -1, 1)
        audio = np.pad(audio, (0, max(0, int(_PADDED_S * rate_hz) - len(audio))))
        path = f"{sound.label or 'unlabelled'}/{_file_name(sound, taken)}.flac"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, audio, rate_hz, subtype="PCM_16")
        seconds = round(len(audio) / rate_hz, 2)
        rows.append(
            (path, sound.label, sound.split, sound.group, seconds, sound.licence, sound.package)
        )
    bar.close()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "split", "group", "seconds", "licence", "package"))
        table.writerows(sorted(rows))
    return len(rows)


def _file_name(sound: Sound, taken: set[str]) -> str:
    parts = (sound.file.parent.name, sound.file.stem)
    name = re.sub(r"[^\w.-]+", "_", "-".join(parts)).strip("_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def main(name: str, folder: str) -> None:
    checks.choice("the set", name, tuple(_FORMATS))
    make = {"drums": drums, "instruments": instruments, "soundtracks": soundtracks}[name]
    root = Path(folder)
    sounds = list(make(root / "packages"))
    print(f"{root / name}: {write(name, sounds, root / name)} sounds")


if __name__ == "__main__":
    main(*sys.argv[1:])
