"""Label lists of public data sets, in the column order that published weights were trained with."""

from typing import NamedTuple

from mclf_jax.common import checks


class LabelList(NamedTuple):
    """Labels in the order of a head's outputs.

    Attributes:
        labels: K names.
        task: "multi_label" or "single_label".
        source: who published this order, and what to know about it.
    """

    labels: tuple[str, ...]
    task: str
    source: str


def label_list(name: str) -> LabelList:
    """A list by name.

    Raises:
        ValueError: an unknown name; the message lists the choices.
    """
    checks.choice("label list", name, LABEL_LISTS)
    return LABEL_LISTS[name]


def _names(text: str, prefix: str = "") -> tuple[str, ...]:
    return tuple(prefix + " ".join(part.split()) for part in text.split(","))


_MTAT = _names(
    """guitar, classical, slow, techno, strings, drums, electronic, rock, fast, piano, ambient,
    beat, violin, vocal, synth, female, indian, opera, male, singing, vocals, no vocals,
    harpsichord, loud, quiet, flute, woman, male vocal, no vocal, pop, soft, sitar, solo, man,
    classic, choir, voice, new age, dance, male voice, female vocal, beats, harp, cello, no voice,
    weird, country, metal, female voice, choral"""
)

_TONICS = _names("C, Db, D, Eb, E, F, Gb, G, Ab, A, Bb, B")

_JAMENDO_GENRE = """
    60s, 70s, 80s, 90s, acidjazz, alternative, alternativerock, ambient, atmospheric,
    blues, bluesrock, bossanova, breakbeat, celtic, chanson, chillout, choir, classical,
    classicrock, club, contemporary, country, dance, darkambient, darkwave, deephouse, disco,
    downtempo, drumnbass, dub, dubstep, easylistening, edm, electronic, electronica, electropop,
    ethno, eurodance, experimental, folk, funk, fusion, groove, grunge, hard, hardrock, hiphop,
    house, idm, improvisation, indie, industrial, instrumentalpop, instrumentalrock, jazz,
    jazzfusion, latin, lounge, medieval, metal, minimal, newage, newwave, orchestral, pop, popfolk,
    poprock, postrock, progressive, psychedelic, punkrock, rap, reggae, rnb, rock, rocknroll,
    singersongwriter, soul, soundtrack, swing, symphonic, synthpop, techno, trance, triphop, world,
    worldfusion"""

_JAMENDO_INSTRUMENT = """
    accordion, acousticbassguitar, acousticguitar, bass, beat, bell, bongo,
    brass, cello, clarinet, classicalguitar, computer, doublebass, drummachine, drums,
    electricguitar, electricpiano, flute, guitar, harmonica, harp, horn, keyboard, oboe, orchestra,
    organ, pad, percussion, piano, pipeorgan, rhodes, sampler, saxophone, strings, synthesizer,
    trombone, trumpet, viola, violin, voice"""

_JAMENDO_MOODTHEME = """
    action, adventure, advertising, background, ballad, calm, children, christmas,
    commercial, cool, corporate, dark, deep, documentary, drama, dramatic, dream, emotional,
    energetic, epic, fast, film, fun, funny, game, groovy, happy, heavy, holiday, hopeful,
    inspiring, love, meditative, melancholic, melodic, motivational, movie, nature, party, positive,
    powerful, relaxing, retro, romantic, sad, sexy, slow, soft, soundscape, space, sport, summer,
    trailer, travel, upbeat, uplifting"""

_JAMENDO_TOP50 = (
    _names(
        """alternative, ambient, atmospheric, chillout, classical, dance, downtempo, easylistening,
        electronic, experimental, folk, funk, hiphop, house, indie, instrumentalpop, jazz, lounge,
        metal, newage, orchestral, pop, popfolk, poprock, reggae, rock, soundtrack, techno, trance,
        triphop, world""",
        "genre---",
    )
    + _names(
        """acousticguitar, bass, computer, drummachine, drums, electricguitar, electricpiano,
        guitar, keyboard, piano, strings, synthesizer, violin, voice""",
        "instrument---",
    )
    + _names("emotional, energetic, film, happy, relaxing", "mood/theme---")
)

LABEL_LISTS = {
    "mtat": LabelList(
        _MTAT,
        "multi_label",
        "MagnaTagATune, the 50 most frequent tags as in musicnn and in Won et al. 2020 "
        "(minzwon/sota-music-tagging-models, split/mtat/tags.npy): metal is column 47 and "
        "female voice column 48",
    ),
    "mtat_jongpillee": LabelList(
        (*_MTAT[:47], _MTAT[48], _MTAT[47], _MTAT[49]),
        "multi_label",
        "MagnaTagATune, the same 50 tags as jongpillee/music_dataset_split (MTAT_split) has them: "
        "female voice is column 47 and metal column 48. Weights trained with one order and read "
        "with the other call metal a voice",
    ),
    "msd_lastfm": LabelList(
        _names(
            """rock, pop, alternative, indie, electronic, female vocalists, dance, 00s,
            alternative rock, jazz, beautiful, metal, chillout, male vocalists, classic rock, soul,
            indie rock, Mellow, electronica, 80s, folk, 90s, chill, instrumental, punk, oldies,
            blues, hard rock, ambient, acoustic, experimental, female vocalist, guitar, Hip-Hop,
            70s, party, country, easy listening, sexy, catchy, funk, electro, heavy metal,
            Progressive rock, 60s, rnb, indie pop, sad, House, happy"""
        ),
        "multi_label",
        "Million Song Dataset, the 50 most frequent Last.fm tags "
        "(jongpillee/music_dataset_split, MSD_split/50tagList.txt)",
    ),
    "msd_cals": LabelList(
        _names(
            """rock, pop, indie, alternative, electronic, hip-hop, metal, jazz, punk, folk,
            alternative rock, indie rock, dance, hard rock, 00s, soul, hardcore, 80s, country,
            classic rock, punk rock, blues, chillout, experimental, heavy metal, death metal, 90s,
            reggae, progressive rock, ambient, acoustic, beautiful, british, rnb, funk, metalcore,
            mellow, world, guitar, trance, indie pop, christian, house, spanish, latin,
            psychedelic, electro, piano, 70s, progressive metal"""
        ),
        "multi_label",
        "Million Song Dataset, the 50 tags of the cleaned and artist-level stratified split of "
        "Won et al. 2021 (minzwon/semi-supervised-music-tagging-transformer, src/msd_config.py)",
    ),
    "jamendo_top50": LabelList(
        _JAMENDO_TOP50,
        "multi_label",
        "MTG-Jamendo, autotagging_top50tags, sorted as Won et al. 2020 train on them",
    ),
    "jamendo_genre": LabelList(
        _names(_JAMENDO_GENRE, "genre---"),
        "multi_label",
        "MTG-Jamendo, the 87 genres of the published splits of autotagging_genre, sorted",
    ),
    "jamendo_instrument": LabelList(
        _names(_JAMENDO_INSTRUMENT, "instrument---"),
        "multi_label",
        "MTG-Jamendo, the 40 instruments of the published splits of autotagging_instrument, sorted",
    ),
    "jamendo_moodtheme": LabelList(
        _names(_JAMENDO_MOODTHEME, "mood/theme---"),
        "multi_label",
        "MTG-Jamendo, the 56 moods and themes of the published splits of autotagging_moodtheme, "
        "sorted",
    ),
    "gtzan": LabelList(
        _names("blues, classical, country, disco, hiphop, jazz, metal, pop, reggae, rock"),
        "single_label",
        "GTZAN (Tzanetakis and Cook 2002), the folders in alphabetical order, as in the tutorial",
    ),
    "keys": LabelList(
        tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in _TONICS),
        "single_label",
        "keys from C major up, then from C minor up, with flats, as in MARBLE (Yuan et al. 2023)",
    ),
}
