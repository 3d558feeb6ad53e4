r"""Songs beside words (CLAP, MuLan), at a size for two CPU cores: any words can be asked for later.

mclf train --config words:path=DIR --workdir runs/words
mclf predict runs/words SONG.mp3 --words "slow piano, sad, festival drums"
mclf evaluate runs/words

DIR is a folder of songs, as in `configs/folder.py`, whose audio tower and augmentation these are.
The words of a song are its labels; `words=caption` takes the column caption of manifest.csv, and
`words=labels+caption` both. They become vectors by the letters in them, or by a model of sentences,
which knows what they mean (pip install 'mclf-jax[words]'; text_size is their length):

mclf train --config words:path=DIR,text=sentence_transformers:all-MiniLM-L6-v2,text_size=384 \
    --workdir runs/words

Windows of `window_s` seconds, batches of 64 songs, `steps` of them.
"""

from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax.config import format_arg, load_module, parse_arg

_FOLDER = load_module(str(Path(__file__).with_name("folder.py")))


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=_FOLDER.DATA,
        path="",
        words="labels",
        text="ngrams",
        text_size=512,
        window_s=5.0,
        steps=600,
    )
    config = _FOLDER.get_config(
        format_arg(
            data=arg.data,
            path=arg.path,
            window_s=arg.window_s,
            steps=arg.steps,
            init="none",
            beside="none",  # which learns from labels
        )
    )
    encoder_args = config.model.args.to_dict() | {"dropout_rate": 0.2}
    config.model.args = ConfigDict({"encoder": config.model.name, "encoder_args": encoder_args})
    config.model.args.update({"text_encoder": arg.text, "text_size": arg.text_size})
    config.model.name = "two_towers"
    config.objective.name = "clap"
    config.objective.label_smoothing = 0.0
    config.objective.args = ConfigDict({"words": tuple(arg.words.split("+"))})
    # Songs with a caption need no label.
    config.data.train_splits = ("train", "unlabelled")
    config.train.batch_size = 64
    config.eval.batch_size = 64
    return config
