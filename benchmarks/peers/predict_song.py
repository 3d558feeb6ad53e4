"""Tags of a song as one would write it in PyTorch: `predict_song.py SONG WEIGHTS LOADER`.

MusiCNN of https://github.com/minzwon/sota-music-tagging-models, 16 windows of 3 s in one batch, and
the means of their scores. The song is loaded at 16 kHz by librosa.load ("librosa"), or by soundfile
and torchaudio's resampling ("torchaudio"). Weights are made where there are none.
"""

import sys
from pathlib import Path

import torch
import torchaudio
from torch import nn

WINDOW, NUM_WINDOWS, LABELS = 48000, 16, 50


class Vertical(nn.Module):
    def __init__(self, channels, shape):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, shape, padding=(0, shape[1] // 2))
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x))).amax(dim=2)


class Horizontal(nn.Module):
    def __init__(self, channels, length, inputs=1):
        super().__init__()
        self.conv = nn.Conv1d(inputs, channels, length, padding=length // 2)
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, x):
        if x.dim() == 4:
            x = x.mean(dim=2)
        return torch.relu(self.bn(self.conv(x)))


class MusiCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.spec = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, n_mels=96)
        self.to_db, self.spec_bn = torchaudio.transforms.AmplitudeToDB(), nn.BatchNorm2d(1)
        front = [Vertical(204, (67, 7)), Vertical(204, (38, 7))]
        self.front = nn.ModuleList([*front, *(Horizontal(51, n) for n in (129, 65, 33))])
        self.middle = nn.ModuleList(
            [Horizontal(64, 7, 561), Horizontal(64, 7, 64), Horizontal(64, 7, 64)]
        )
        self.dense1, self.bn = nn.Linear(2 * (561 + 3 * 64), 200), nn.BatchNorm1d(200)
        self.dense2 = nn.Linear(200, LABELS)

    def forward(self, x):
        x = self.spec_bn(self.to_db(self.spec(x)).unsqueeze(1))
        found = [torch.cat([layer(x) for layer in self.front], 1)]
        found.append(self.middle[0](found[0]))
        for layer in self.middle[1:]:
            found.append(layer(found[-1]) + found[-1])
        x = torch.cat(found, 1)
        x = torch.cat([x.amax(dim=2), x.mean(dim=2)], 1)
        return torch.sigmoid(self.dense2(torch.relu(self.bn(self.dense1(x)))))


def main(song, weights, loader):
    network = MusiCNN()
    if not Path(weights).exists():
        torch.save(network.state_dict(), weights)
    network.load_state_dict(torch.load(weights))
    network.eval()
    if loader == "librosa":
        import librosa

        audio = torch.from_numpy(librosa.load(song, sr=16000)[0])
    else:
        import soundfile

        samples, rate_hz = soundfile.read(song, dtype="float32", always_2d=True)
        audio = torch.from_numpy(samples.mean(axis=1))
        audio = torchaudio.functional.resample(audio, rate_hz, 16000)
    hop = (len(audio) - WINDOW) // (NUM_WINDOWS - 1)
    with torch.no_grad():
        windows = torch.stack([audio[i * hop : i * hop + WINDOW] for i in range(NUM_WINDOWS)])
        scores = network(windows).mean(0)
    for label in scores.argsort(descending=True)[:5]:
        print(f"{scores[label]:.3f} tag {label}")


if __name__ == "__main__":
    main(*sys.argv[1:])
