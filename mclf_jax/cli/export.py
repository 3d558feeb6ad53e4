"""`mclf export`: a trained network leaves its run directory, in one of several forms."""

import argparse
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags

_FORMS = {".mclf": "mclf", ".onnx": "onnx"}


def add_commands(commands: Any) -> None:
    """Declare it."""
    command = flags.add_command(
        commands,
        _export,
        examples=(
            "mclf export runs/mine --out tagger.mclf",
            "mclf export runs/a runs/b runs/c --out ensemble.mclf --weights float16",
            "mclf export runs/mine --to huggingface --out hub/mine",
            "mclf export runs/mine --to web --out page",
            "mclf export runs/mine --out model.onnx --weights int8 --songs a.mp3 b.flac",
            "mclf export runs/words --words 'slow piano, sad' --out moods.onnx",
        ),
    )
    command.add_argument(
        "run", nargs="+", help="run directory or exported file; of several the scores are averaged"
    )
    command.add_argument("--out", required=True, help="file or folder to write")
    command.add_argument(
        "--to",
        choices=("mclf", "onnx", "huggingface", "web"),
        help="mclf: one file that needs nothing else; onnx: waveform in, scores out, without "
        "Python; huggingface: a folder in the layout of its Hub; web: a folder with a page that "
        "tags in the browser. By the ending of --out when not given",
    )
    command.add_argument(
        "--weights",
        default="float32",
        choices=("float32", "float16", "int8"),
        help="how they are stored; float16 halves the file, and int8, which is for onnx, halves it "
        "again",
    )
    flags.add_words(command)
    command.add_argument(
        "--songs",
        nargs="+",
        default=(),
        metavar="SONG",
        help="to compare the scores on; noise and chords when not given",
    )


def _export(arguments: argparse.Namespace) -> None:
    """Write a trained network as one file that travels, or in the layout of others. It is read
    back, and the greatest difference of its scores is told."""
    from mclf_jax.common import files
    from mclf_jax.export import archive, huggingface, onnx, verify, web
    from mclf_jax.export.bundle import takes_words, with_words
    from mclf_jax.export.collect import bundle_of, with_card

    out = Path(arguments.out)
    to = arguments.to or _FORMS.get(out.suffix)
    if to is None:
        raise ValueError(f"--out is {out}; it must end in {', '.join(_FORMS)}, or say --to")
    files.check_place("--out", out, kind="file" if to in _FORMS.values() else "folder")
    paths = arguments.run[0] if len(arguments.run) == 1 else arguments.run
    bundle = with_card(bundle_of(paths), paths)
    if words := flags.words_of(arguments):
        bundle = with_words(bundle, words)
    elif takes_words(bundle) and to in ("onnx", "web"):
        raise ValueError(
            f"{arguments.run[0]} was trained beside words, and --to {to} has no text tower: say "
            "now what it is to look for, --words 'slow piano, sad'; or take --to mclf, which can "
            "be asked for any words later"
        )
    write, read = {
        "mclf": (archive.write_archive, lambda out: verify.outputs_of(archive.read_archive(out))),
        "onnx": (onnx.write_onnx, onnx.read_onnx),
        "web": (web.write_web, lambda out: onnx.read_onnx(out / "model.onnx")),
        "huggingface": (
            huggingface.write_huggingface,
            lambda out: verify.outputs_of(huggingface.read_huggingface(out)),
        ),
    }[to]
    write(bundle, out, weights=arguments.weights)
    found = verify.compare(bundle, read(out), songs=arguments.songs)
    learnt = f"{len(bundle.labels)} labels" if bundle.labels else "no labels"
    print(f"{bundle.name}, {learnt}, {_size(out)}: {out}")
    compared = "scores" if bundle.labels else "embeddings"
    heard = (
        f"{found['num_songs']} song{'s' * (found['num_songs'] > 1)}"
        if arguments.songs
        else f"{verify.NUM_WINDOWS} windows of noise and chords"
    )
    print(
        f"read back: {compared} differ by {found['greatest']:.1g} at most and {found['mean']:.1g} "
        f"on average, over {heard}"
    )
    if to == "web":
        print(f"next: python -m http.server --directory {out}, or any other file server")
        return
    if to == "onnx":
        each = "song" if arguments.songs else "window"
        print(
            f"onnxruntime takes {found['ms']:.3g} ms for a {each} on this machine's processor, "
            f"jax {found['live_ms']:.3g} ms, without decoding"
        )
        print(f"what it takes in and gives out: {out.with_suffix('.json')}")
        return
    if takes_words(bundle) and not bundle.labels:
        print(f"next: mclf predict {out} SONG.mp3 --words 'slow piano, sad', or any others")
        return
    if bundle.task == "multi_label" and bundle.labels and not bundle.thresholds:
        print(
            f"it has no thresholds: `mclf evaluate {arguments.run[0]} --split valid`, then export "
            "again, puts in those with the best F1 of each label"
        )
    if bundle.labels:
        print(f"next: mclf predict {out} SONG.mp3")
    else:
        print(f"next: mclf embed {out} SONG.mp3 --out FILE.npz")


def _size(path: Path) -> str:
    found = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return f"{sum(each.stat().st_size for each in found) / 1e6:.1f} MB"
