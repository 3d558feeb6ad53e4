"""The published networks in PyTorch, in the straightforward way, under their names of weights.

They take what `benchmarks.peers.front_ends` makes of a waveform, [B, F, M] or [B, T], and return
logits [B, K]. Sizes are those of the papers. Three more are in `benchmarks.gpu.networks`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.gpu.networks import (
    CLMRSampleCNN,
    MusicTaggingTransformer,
    ResBlock,
    ShortChunkResNet,
)


class Conv(nn.Module):
    """Convolution, batch norm, ReLU and max-pooling over one or two axes."""

    def __init__(self, inputs, outputs, *, size=(3, 3), stride=1, padding=None, pool=()):
        super().__init__()
        kinds = (nn.Conv1d, nn.BatchNorm1d) if len(size) == 1 else (nn.Conv2d, nn.BatchNorm2d)
        padding = tuple(side // 2 for side in size) if padding is None else padding
        self.conv = kinds[0](inputs, outputs, size, stride=stride, padding=padding)
        self.bn = kinds[1](outputs)
        self.pool = pool

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        if not self.pool:
            return x
        return F.max_pool1d(x, self.pool) if len(self.pool) == 1 else F.max_pool2d(x, self.pool)


class Layers(nn.Module):
    """Something that calls its parts layer1, layer2, ... one after the other."""

    def add_layers(self, layers):
        for i, layer in enumerate(layers, start=1):
            setattr(self, f"layer{i}", layer)
        self.num_layers = i

    def run(self, x):
        for i in range(1, self.num_layers + 1):
            x = getattr(self, f"layer{i}")(x)
        return x


def image(x, norm):
    """[B, F, M] -> [B, 1, M, F], normalised."""
    return norm(x.transpose(1, 2)[:, None])


class FCN(Layers):
    def __init__(self, num_labels):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        widths = (1, 64, 128, 128, 128, 64)
        pools = ((2, 4), (2, 4), (2, 4), (3, 5), (4, 4))
        self.add_layers(
            Conv(*pair, pool=pool) for *pair, pool in zip(widths, widths[1:], pools, strict=False)
        )
        self.dense = nn.Linear(64, num_labels)

    def forward(self, x):
        x = self.run(image(x, self.spec_bn))
        return self.dense(F.dropout(x.flatten(1), 0.5, self.training))


class CRNN(Layers):
    def __init__(self, num_labels):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        widths = (1, 64, 128, 128, 128)
        pools = ((2, 2), (3, 3), (4, 4), (4, 4))
        self.add_layers(
            Conv(*pair, pool=pool) for *pair, pool in zip(widths, widths[1:], pools, strict=False)
        )
        self.layer5 = nn.GRU(128, 32, 2, batch_first=True)
        self.dense = nn.Linear(32, num_labels)

    def forward(self, x):
        x = self.run(image(x, self.spec_bn))
        x = self.layer5(x.permute(0, 3, 1, 2).flatten(2))[0][:, -1]
        return self.dense(F.dropout(x, 0.5, self.training))


class TutorialCNN(Layers):
    def __init__(self, num_labels):
        super().__init__()
        self.input_bn = nn.BatchNorm2d(1)
        widths = (1, 16, 16, 32, 32, 64)
        pools = ((2, 3), (3, 4), (2, 5), (3, 3), (3, 4))
        self.add_layers(
            Conv(*pair, pool=pool) for *pair, pool in zip(widths, widths[1:], pools, strict=False)
        )
        self.dense1, self.dense_bn = nn.Linear(64, 64), nn.BatchNorm1d(64)
        self.dense2 = nn.Linear(64, num_labels)

    def forward(self, x):
        x = image(x, self.input_bn)
        for i in range(1, 6):
            x = F.dropout(getattr(self, f"layer{i}")(x), 0.1, self.training)
        x = F.relu(self.dense_bn(self.dense1(x.flatten(1))))
        return self.dense2(F.dropout(x, 0.5, self.training))


class ShortChunkCNN(Layers):
    def __init__(self, num_labels):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        widths = (1, 128, 128, 256, 256, 256, 256, 512)
        self.add_layers(Conv(*pair, pool=(2, 2)) for pair in zip(widths, widths[1:], strict=False))
        self.dense1, self.bn = nn.Linear(512, 512), nn.BatchNorm1d(512)
        self.dense2 = nn.Linear(512, num_labels)

    def forward(self, x):
        x = self.run(image(x, self.spec_bn)).flatten(1, 2).amax(-1)
        x = F.relu(self.bn(self.dense1(x)))
        return self.dense2(F.dropout(x, 0.5, self.training))


class HarmonicCNN(Layers):
    """Its front end makes power spectrograms [B, F, bins]; the filters are part of the network."""

    def __init__(self, num_labels, centres_hz, sample_rate_hz=16000):
        super().__init__()
        self.hstft = nn.Module()
        self.hstft.bw_Q = nn.Parameter(torch.ones(1))
        centres = torch.tensor(centres_hz, dtype=torch.float32)
        self.register_buffer("centres", centres, persistent=False)
        bins = torch.linspace(0, sample_rate_hz / 2, 257)
        self.register_buffer("bins", bins, persistent=False)
        self.hstft_bn = nn.BatchNorm2d(len(centres_hz))
        self.add_layers(
            [
                Conv(len(centres_hz), 128, pool=(2, 2)),
                *(ResBlock(128, 128, pool=(2, 2)) for _ in range(3)),
                Conv(128, 256, pool=(2, 2)),
                *(ResBlock(256, 256, pool=(2, 3)) for _ in range(2)),
            ]
        )
        self.dense1, self.bn = nn.Linear(256, 256), nn.BatchNorm1d(256)
        self.dense2 = nn.Linear(256, num_labels)

    def forward(self, power):
        centre = self.centres.flatten()
        width = (0.1079 * centre + 24.7) / self.hstft.bw_Q
        filters = F.relu(1 - (2 * (self.bins[:, None] - centre) / width).abs())
        x = (power @ filters).unflatten(-1, self.centres.shape).permute(0, 2, 3, 1)
        x = self.hstft_bn(10 * torch.log10(x.clamp(min=1e-10)))
        x = self.run(x).flatten(1, 2).amax(-1)
        x = F.relu(self.bn(self.dense1(x)))
        return self.dense2(F.dropout(x, 0.5, self.training))


class MusiCNN(Layers):
    def __init__(self, num_labels, n_mels=96):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        tall = [Conv(1, 204, size=(int(share * n_mels), 7), padding=(0, 3)) for share in (0.7, 0.4)]
        long = [Conv(1, 51, size=(length,)) for length in (129, 65, 33)]
        self.layers = nn.ModuleList([*tall, *long])
        self.add_layers(Conv(inputs, 64, size=(7,)) for inputs in (561, 64, 64))
        self.dense1, self.bn = nn.Linear(2 * 753, 200), nn.BatchNorm1d(200)
        self.dense2 = nn.Linear(200, num_labels)

    def forward(self, x):
        x = image(x, self.spec_bn)
        mean = x.mean(2)
        front = [layer(x).amax(2) for layer in self.layers[:2]]
        steps = [torch.cat([*front, *(layer(mean) for layer in self.layers[2:])], 1)]
        for i in range(1, 4):
            y = getattr(self, f"layer{i}")(steps[-1])
            steps.append(y + steps[-1] if i > 1 else y)
        x = torch.cat(steps, 1)
        x = torch.cat([x.amax(-1), x.mean(-1)], 1)
        x = F.relu(self.bn(self.dense1(x)))
        return self.dense2(F.dropout(x, 0.5, self.training))


class SelfAttention(nn.Module):
    """BERT's, with its published names."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.self = nn.Module()
        for part in ("query", "key", "value"):
            setattr(self.self, part, nn.Linear(width, width))
        self.output = nn.Module()
        self.output.dense = nn.Linear(width, width)
        self.output.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.num_heads = num_heads

    def forward(self, x):
        parts = (getattr(self.self, part)(x) for part in ("query", "key", "value"))
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        y = (F.dropout(weights, 0.5, self.training) @ v).transpose(1, 2).flatten(2)
        y = F.dropout(self.output.dense(y), 0.4, self.training)
        return self.output.LayerNorm(x + y)


class BertLayer(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.attention = SelfAttention(width, num_heads)
        self.intermediate, self.output = nn.Module(), nn.Module()
        self.intermediate.dense = nn.Linear(width, 4 * width)
        self.output.dense = nn.Linear(4 * width, width)
        self.output.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x):
        x = self.attention(x)
        y = self.output.dense(F.gelu(self.intermediate.dense(x)))
        return self.output.LayerNorm(x + F.dropout(y, 0.4, self.training))


class CNNSA(Layers):
    def __init__(self, num_labels, first_token):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        widths = (1, 128, 128, 256, 256, 256, 256, 256)
        strides = [(2, 2)] * 3 + [(2, 1)] * 4
        self.add_layers(
            ResBlock(*pair, stride=stride)
            for *pair, stride in zip(widths, widths[1:], strides, strict=False)
        )
        first = torch.tensor(first_token, dtype=torch.float32)
        self.register_buffer("first", first, persistent=False)
        self.encoder, self.pooler = nn.Module(), nn.Module()
        self.encoder.layer = nn.ModuleList(BertLayer(256, 8) for _ in range(2))
        self.pooler.dense = nn.Linear(256, 256)
        self.dense = nn.Linear(256, num_labels)

    def forward(self, x):
        x = self.run(image(x, self.spec_bn)).permute(0, 3, 1, 2).flatten(2)
        x = torch.cat([self.first.expand(len(x), 1, -1), x], 1)
        for layer in self.encoder.layer:
            x = layer(x)
        x = torch.tanh(self.pooler.dense(x[:, 0]))
        return self.dense(F.dropout(x, 0.5, self.training))


_SAMPLE_WIDTHS = (1, 128, 128, 128, 256, 256, 256, 256, 256, 256, 512)


class SampleCNN(Layers):
    def __init__(self, num_labels):
        super().__init__()
        pairs = list(zip(_SAMPLE_WIDTHS, _SAMPLE_WIDTHS[1:], strict=False))
        layers = [Conv(*pairs[0], size=(3,), stride=3)]
        layers += [Conv(*pair, size=(3,), pool=(3,)) for pair in pairs[1:]]
        self.add_layers([*layers, Conv(512, 512, size=(1,))])
        self.dense = nn.Linear(512, num_labels)

    def forward(self, x):
        x = self.run(x[:, None]).flatten(1)
        return self.dense(F.dropout(x, 0.5, self.training))


class ResSE(nn.Module):
    """Residual block with squeeze and excitation."""

    def __init__(self, inputs, outputs, *, size=3, stride=1, pool=1):
        super().__init__()
        self.conv_1 = nn.Conv1d(inputs, outputs, size, stride=stride, padding=size // 2)
        self.bn_1 = nn.BatchNorm1d(outputs)
        self.conv_2 = nn.Conv1d(outputs, outputs, size, padding=size // 2)
        self.bn_2 = nn.BatchNorm1d(outputs)
        self.dense1, self.dense2 = nn.Linear(outputs, outputs), nn.Linear(outputs, outputs)
        self.shortened = stride != 1 or inputs != outputs
        if self.shortened:
            self.conv_3 = nn.Conv1d(inputs, outputs, 3, stride=stride, padding=1)
            self.bn_3 = nn.BatchNorm1d(outputs)
        self.pool = pool

    def forward(self, x):
        y = self.bn_2(self.conv_2(F.relu(self.bn_1(self.conv_1(x)))))
        weights = torch.sigmoid(self.dense2(F.relu(self.dense1(y.mean(-1)))))
        y = y * weights[:, :, None]
        if self.shortened:
            x = self.bn_3(self.conv_3(x))
        x = F.relu(x + y)
        return x if self.pool == 1 else F.max_pool1d(x, self.pool)


class SampleCNNSE(Layers):
    def __init__(self, num_labels):
        super().__init__()
        pairs = list(zip(_SAMPLE_WIDTHS, _SAMPLE_WIDTHS[1:], strict=False))
        layers = [ResSE(*pairs[0], stride=3), *(ResSE(*pair, pool=3) for pair in pairs[1:])]
        self.add_layers([*layers, ResSE(512, 512, size=1)])
        self.dense1, self.bn = nn.Linear(512, 512), nn.BatchNorm1d(512)
        self.dense2 = nn.Linear(512, num_labels)

    def forward(self, x):
        x = F.relu(self.bn(self.dense1(self.run(x[:, None]).flatten(1))))
        return self.dense2(F.dropout(x, 0.5, self.training))


NETWORKS = {
    "fcn": FCN,
    "musicnn": MusiCNN,
    "crnn": CRNN,
    "sample_cnn": SampleCNN,
    "sample_cnn_se": SampleCNNSE,
    "short_chunk_cnn": ShortChunkCNN,
    "short_chunk_resnet": lambda num_labels: ShortChunkResNet(num_labels=num_labels),
    "cnnsa": CNNSA,
    "harmonic_cnn": HarmonicCNN,
    "music_tagging_transformer": lambda num_labels: MusicTaggingTransformer(num_labels=num_labels),
    "tutorial_cnn": TutorialCNN,
    "clmr_sample_cnn": lambda num_labels: CLMRSampleCNN(num_labels=num_labels),
}
"""By our names."""
