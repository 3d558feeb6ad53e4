"""docs/models.md against the code: every network, its input and its size, and every command."""

import math
import re
import shlex

import jax
import pytest

from mclf_jax import models
from mclf_jax.cli import main as cli
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS
from mclf_jax.models.backs import BACKS
from mclf_jax.models.fronts import FRONTS
from tests import ROOT, SHARED

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
REFERENCE = SHARED / "references" / "architectures-and-recipes.md"
# Encoders of self-supervised learning, which nobody has scored on these data sets.
WITHOUT_SCORES = {"cpc", "wav2vec", "pase", "vit", "musicfm", "mobilenet", "rvq"}
# How the published table names what is `network`, or `network`, 128 bands, on the page.
PUBLISHED_NAMES = {
    "FCN": "fcn",
    "MusiCNN": "musicnn",
    "Sample-level": "sample_cnn",
    "Sample-level + SE": "sample_cnn_se",
    "CRNN": "crnn",
    "Self-attention (CNNSA)": "cnnsa",
    "Harmonic CNN": "harmonic_cnn",
    "Short-chunk CNN": "short_chunk_cnn",
    "Short-chunk ResNet": "short_chunk_resnet",
    "Music Tagging Transformer (seed)": "music_tagging_transformer",
}


def tables(text):
    """The Markdown tables of a page as lists of rows of cells, without the line below the head."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    split = [[row.strip("|\n ").split("|") for row in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in row] for row in [t[0], *t[2:]]] for t in split]


def table(head):
    """The rows of the only table that begins with these cells."""
    (found,) = [t for t in tables(PAGE) if t[0][: len(head)] == head]
    return found[1:]


def num_parameters(name, **arguments):
    model = models.build(name, **arguments)
    params = jax.eval_shape(model.init, jax.random.key(0))["params"]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def test_tables_render():
    for rows in tables(PAGE):
        assert len({len(row) for row in rows}) == 1, rows


def test_every_network_is_there_with_its_input_and_its_size():
    rows = table(["network", "input"])
    assert [row[0].strip("`") for row in rows] == list(models.ARCHITECTURES)
    for name, seconds, rate, representation, parameters, lengths in rows:
        name = name.strip("`")
        num_labels = 10 if name == "tutorial_cnn" else 50
        model = models.build(name, num_labels=num_labels)
        assert seconds == f"{model.window_s:.2f} s"
        assert rate == f"{model.features.sample_rate_hz / 1000:g} kHz"
        expected = {
            "log_mel": f"log-mel, {getattr(model.features, 'n_mels', 0)} bands",
            "power_spectrogram": "power spectrogram",
            "waveform": "waveform",
        }
        assert representation == expected[model.features.kind]
        assert int(parameters.replace(",", "")) == num_parameters(name, num_labels=num_labels)
        assert (lengths == "fixed") == (model.length == "fixed")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "lengths"),
    [(row[0].strip("`"), row[5]) for row in table(["network", "input"]) if row[5] != "fixed"],
)
def test_other_lengths(name, lengths):
    """The lengths that the page promises work, and those just beyond do not."""

    def works(seconds):
        model = models.build(name, num_labels=2, window_s=seconds)
        waveform = jax.ShapeDtypeStruct((1, model.window_samples), "float32")
        try:
            jax.eval_shape(model.apply, jax.eval_shape(model.init, jax.random.key(0)), waveform)
        except ValueError:
            return False
        return True

    limit = re.search(r"(from|up to) ([\d.]+) s", lengths)
    if limit is None:
        assert lengths == "any"
        assert works(0.1) and works(60)
        return
    kind, seconds = limit.group(1), float(limit.group(2))
    beyond = seconds - 0.1 if kind == "from" else seconds + 0.1
    assert works(seconds) and not works(beyond)


def test_every_front_end_and_back_end_is_there():
    """With the sequence that a front end makes by itself."""
    assert [row[0].strip("`") for row in table(["back end", "of"])] == list(BACKS)
    rows = table(["front end", "of"])
    assert [row[0].strip("`") for row in rows] == list(FRONTS)
    for name, _, _, steps, features in rows:
        model = models.build("combined", num_labels=2, front=name.strip("`"), back="flatten")
        variables = jax.eval_shape(model.init, jax.random.key(0))
        count = variables["params"]["head"]["kernel"].shape[0] / int(features)
        assert abs(count / model.window_s - float(steps)) < 0.35, name  # of whole steps


def test_variants():
    for count, call in (
        ("7,972,000", ("musicnn", {"backend_channels": 512, "dense_units": 500})),
        ("1,108,852", ("music_tagging_transformer", {"attention_dim": 64})),
    ):
        assert count in PAGE
        assert num_parameters(call[0], num_labels=50, **call[1]) == int(count.replace(",", ""))
        arguments = ", ".join(f"{name}={value}" for name, value in call[1].items())
        assert f"`{call[0]}({arguments})`" in PAGE.replace("\n", " ")


def test_every_network_has_scores():
    scored = set()
    for rows in tables(PAGE):
        if rows[0][:2] != ["network", "MTAT"]:
            continue
        for row in rows[1:]:
            values = [float(text) for cell in row[1:] for text in re.findall(r"\.\d+", cell)]
            assert values and all(0.2 < value < 0.95 for value in values), row
            scored.add(re.match(r"`(\w+)`", row[0]).group(1))
    assert scored | {"tutorial_cnn"} | WITHOUT_SCORES == set(models.ARCHITECTURES)
    assert "`tutorial_cnn` .5414" in PAGE


def test_scores_are_the_published_ones():
    if not REFERENCE.exists():
        pytest.skip("the page with the published results is not here")
    text = REFERENCE.read_text(encoding="utf-8")
    (published,) = [t for t in tables(text) if t[0] == ["Model", "MTAT", "MSD", "MTG-Jamendo"]]
    expected = {}
    for model, *scores in published[1:]:
        name = PUBLISHED_NAMES[model.removesuffix(" (128 mel)")]
        suffix = ", 128 bands" if model.endswith("(128 mel)") else ""
        expected[f"`{name}`{suffix}"] = scores
    here = {row[0]: row[1:] for row in table(["network", "MTAT", "MSD", "MTG-Jamendo"])}
    assert here == expected


def test_every_network_has_its_paragraph_and_its_weights():
    for name in models.ARCHITECTURES:
        file = models.ARCHITECTURES[name].module.__module__.replace(".", "/")
        assert f"**[`{name}`](../{file}.py)**" in PAGE
        assert f"--model {name} " in PAGE
    for name in LABEL_LISTS:
        assert f"`{name}`" in PAGE
    assert LABEL_LISTS["mtat"].labels[47:49] == ("metal", "female voice")
    assert LABEL_LISTS["mtat_jongpillee"].labels[47:49] == ("female voice", "metal")


COMMANDS = re.findall(r"\bmclf (?:convert|predict|embed) [^`|\n]*", PAGE)


def test_there_are_commands():
    assert len(COMMANDS) >= len(models.ARCHITECTURES)


@pytest.mark.parametrize("command", [c for c in COMMANDS if " runs/" in c])
def test_command_is_understood(command):
    arguments = cli.make_parser().parse_args(shlex.split(command)[1:])
    if arguments.command == "convert":
        is_encoder = arguments.out.endswith("encoder")  # which has no labels
        assert arguments.model in models.ARCHITECTURES
        assert (arguments.labels is None) if is_encoder else (arguments.labels in LABEL_LISTS)


def test_files_that_the_page_names_exist():
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
