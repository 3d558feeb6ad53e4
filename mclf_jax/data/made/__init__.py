"""Made music: MIDI drawn at random, played by soundfonts, with exact labels along time.

Not songs for listeners, as those of `data.synthesis`, but the sounds of all instruments in all
company, to pretrain on: `launch/pretraining_data.sh` makes hours of them.
"""
