"""The three networks in PyTorch, from their papers, under the published names of weights."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, pool=(1, 1)):
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.bn_1 = nn.BatchNorm2d(outputs)
        self.conv_2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn_2 = nn.BatchNorm2d(outputs)
        self.shortened = stride != 1 or inputs != outputs
        if self.shortened:
            self.conv_3 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
            self.bn_3 = nn.BatchNorm2d(outputs)
        self.pool = pool

    def forward(self, x):
        y = self.bn_2(self.conv_2(F.relu(self.bn_1(self.conv_1(x)))))
        if self.shortened:
            x = self.bn_3(self.conv_3(x))
        x = F.relu(x + y)
        return x if self.pool == (1, 1) else F.max_pool2d(x, self.pool)


class ShortChunkResNet(nn.Module):
    """[B, F, M] -> logits [B, K]."""

    def __init__(self, *, num_labels: int, n_channels: int = 128):
        super().__init__()
        self.spec_bn = nn.BatchNorm2d(1)
        widths = [n_channels * factor for factor in (1, 1, 2, 2, 2, 2, 4)]
        for i, (inputs, outputs) in enumerate(zip([1, *widths], widths, strict=False), start=1):
            setattr(self, f"layer{i}", ResBlock(inputs, outputs, stride=2))
        self.dense1 = nn.Linear(widths[-1], widths[-1])
        self.bn = nn.BatchNorm1d(widths[-1])
        self.dense2 = nn.Linear(widths[-1], num_labels)

    def forward(self, x):
        x = self.spec_bn(x.transpose(1, 2)[:, None])
        for i in range(1, 8):
            x = getattr(self, f"layer{i}")(x)
        x = x.flatten(1, 2).amax(-1)
        x = F.dropout(F.relu(self.bn(self.dense1(x))), 0.5, self.training)
        return self.dense2(x)


class Attention(nn.Module):
    """By PyTorch's own fused kernel."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.1))
        self.num_heads = num_heads

    def forward(self, x):
        parts = self.to_qkv(x).chunk(3, dim=-1)
        heads = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(*heads)
        return self.to_out(y.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        layers = nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.1)
        self.net = nn.Sequential(*layers, nn.Linear(4 * width, width), nn.Dropout(0.1))

    def forward(self, x):
        return self.net(x)


class Residual(nn.Module):
    """x + f(norm(x)); weights are named fn.norm and fn.fn as in the published code."""

    def __init__(self, width: int, function: nn.Module):
        super().__init__()
        self.fn = nn.Module()
        self.fn.norm, self.fn.fn = nn.LayerNorm(width), function

    def forward(self, x):
        return x + self.fn.fn(self.fn.norm(x))


class MusicTaggingTransformer(nn.Module):
    """[B, F, M] -> logits [B, K]."""

    def __init__(
        self,
        *,
        num_labels: int,
        conv_channels: int = 128,
        attention_dim: int = 256,
        num_heads: int = 8,
        num_layers: int = 4,
        n_mels: int = 128,
    ):
        super().__init__()
        self.frontend = nn.Module()
        self.frontend.input_bn = nn.BatchNorm2d(1)
        self.frontend.layer1 = ResBlock(1, conv_channels, pool=(2, 2))
        self.frontend.layer2 = ResBlock(conv_channels, conv_channels, pool=(2, 2))
        self.frontend.layer3 = ResBlock(conv_channels, conv_channels, pool=(2, 1))
        self.frontend.fc = nn.Linear(conv_channels * (n_mels // 8), attention_dim)
        self.cls_token = nn.Parameter(torch.randn(attention_dim))
        self.pos_embedding = nn.Parameter(torch.randn(1, 513, attention_dim))
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Residual(attention_dim, Attention(attention_dim, num_heads)),
                    Residual(attention_dim, FeedForward(attention_dim)),
                ]
            )
            for _ in range(num_layers)
        )
        self.mlp_head = nn.Sequential(
            nn.LayerNorm(attention_dim), nn.Linear(attention_dim, num_labels)
        )

    def forward(self, x):
        x = self.frontend.input_bn(x.transpose(1, 2)[:, None])
        x = self.frontend.layer3(self.frontend.layer2(self.frontend.layer1(x)))
        x = self.frontend.fc(x.permute(0, 3, 1, 2).flatten(2))
        first = self.cls_token.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1)
        x = F.dropout(x + self.pos_embedding[:, : x.shape[1]], 0.1, self.training)
        for attend, feed_forward in self.transformer.layers:
            x = feed_forward(attend(x))
        return self.mlp_head(x[:, 0])


class CLMRSampleCNN(nn.Module):
    """[B, T] -> logits [B, K]; `embed` is what the projector takes."""

    def __init__(self, *, num_labels: int, n_channels: int = 128, dropout_rate: float = 0.0):
        super().__init__()
        widths = [n_channels * factor for factor in (1, 1, 1, 2, 2, 2, 2, 2, 2, 4)]
        layers = [_layer(1, widths[0], stride=3, padding=0)]
        layers += [_layer(*pair, pool=3) for pair in itertools.pairwise(widths)]
        self.sequential = nn.Sequential(*layers, _layer(widths[-1], widths[-1]))
        self.fc = nn.Linear(widths[-1], num_labels)
        self.projector = nn.Sequential(
            nn.Linear(widths[-1], 512, bias=False), nn.ReLU(), nn.Linear(512, 64, bias=False)
        )

    def embed(self, x):
        return self.sequential(x[:, None]).flatten(1)

    def forward(self, x):
        return self.fc(self.embed(x))


def _layer(inputs: int, outputs: int, *, stride: int = 1, padding: int = 1, pool: int = 1):
    layers = [
        nn.Conv1d(inputs, outputs, 3, stride=stride, padding=padding),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool1d(pool)] if pool > 1 else []))


def nt_xent(z, *, temperature: float = 0.5):
    """[B, 2, D] -> the mean loss of SimCLR and CLMR."""
    count = len(z)
    z = F.normalize(z.transpose(0, 1).flatten(0, 1).float(), dim=-1)
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * count, dtype=bool, device=z.device), -1e9)
    other = torch.arange(2 * count, device=z.device).roll(count)
    return F.cross_entropy(similarity, other)


NETWORKS = {
    "music_tagging_transformer": MusicTaggingTransformer,
    "short_chunk_resnet": ShortChunkResNet,
    "clmr_sample_cnn": CLMRSampleCNN,
}
