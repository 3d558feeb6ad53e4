"""SimCLR (Chen et al. 2020), CLMR (Spijkervet and Burgoyne 2021), COLA (Saeed et al. 2021), Myna.

Views of one song against those of all others in the batch.
"""

import functools
from typing import Any

import jax

from mclf_jax.common import checks
from mclf_jax.losses.contrastive import contrast_bilinear, contrast_views
from mclf_jax.objectives import heads, patches, views
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.diagnostics import diagnose


def simclr(
    context: Context,
    *,
    temperature: float = 0.5,
    projector: tuple[int, ...] = (512, 64),
    projector_norm: str = "none",
    num_views: int = 2,
    similarity: str = "cosine",
    same_track: str = "negative",
    kept_patches: float = 1.0,
    block_size: int = 0,
    num_chunks: int = 1,
) -> Objective:
    """NT-Xent between views of a song; the defaults are those of CLMR.

    COLA is `similarity="bilinear"` with `projector=(512,)`, `temperature=1.0` and two crops that
    are not augmented. As published, its projector has a bias, layer norm and tanh at the end, W
    starts from a normal distribution of deviation .05, and only the first crop is an anchor.

    Myna (Yonay et al. 2025) is `kept_patches=0.1` with `temperature=0.1` and two crops that are
    not augmented, on a network of patches: what is left out of either crop takes the place of
    augmentation, and costs less, instead of more.

    Args:
        context: `model` is the encoder; its embedding is what the projector takes.
        temperature: 0.5 in CLMR, 0.1 in SimCLR for ImageNet.
        projector: widths of its layers, with ReLU in between; () compares embeddings themselves.
        projector_norm: before each ReLU: "none" in CLMR, "batch_norm" in SimCLR, or "layer_norm".
        num_views: of each song; with more than two, an anchor's loss is the mean over its
            positives.
        similarity: "cosine" or "bilinear".
        same_track: what clips of the same `group` (track or artist, as the data set says) are to
            each other: "negative", as published, or "ignore".
        kept_patches: of each view, the share of patches that is encoded, drawn anew for each; 1:
            all, with any network.
        block_size: columns of the similarity matrix that are held at once, for large batches; 0:
            all.
        num_chunks: parts in which the batch is encoded, see `views.encode`.

    Raises:
        ValueError: an argument is not one of those allowed.
    """
    model, chains = context.model, context.chains
    checks.choice("objective.args.projector_norm", projector_norm, heads.NORMS)
    checks.choice("objective.args.similarity", similarity, ("cosine", "bilinear"))
    checks.choice("objective.args.same_track", same_track, ("negative", "ignore"))
    checks.positive("objective.args.temperature", temperature)
    checks.within("objective.args.kept_patches", kept_patches, 0, 1, ends="(]")
    grid = None
    if kept_patches < 1:
        grid = patches.grid_of(model, needed_by=f"objective.args.kept_patches {kept_patches}")
    if num_views < 2 or (similarity == "bilinear" and num_views != 2):
        raise ValueError(
            f"objective.args.num_views is {num_views}; it must be at least 2, and 2 for "
            "objective.args.similarity 'bilinear'"
        )
    bilinear = similarity == "bilinear"
    head = heads.MLP(
        widths=projector,
        norm=projector_norm,
        final_norm="layer_norm" if bilinear else "none",
        final_activation="tanh" if bilinear else "none",
        use_bias=bilinear,
    )

    def init(key):
        key, kernel_key = jax.random.split(key)
        initial = views.init(model, head, key)
        if bilinear:
            size = projector[-1] if projector else views.embedding_size(model)
            initial["params"]["bilinear"] = 0.05 * jax.random.normal(kernel_key, (size, size))
        return initial

    def run(params, state, batch, key, *, mode):
        augment_key, key = jax.random.split(key)
        x = views.augmented(model, chains, batch, num_views=num_views, key=augment_key)
        visible = None
        if grid is not None:
            key, patch_key = jax.random.split(key)
            rows = x.shape[0] * num_views
            visible, _ = patches.split(patch_key, rows, grid, fraction=kept_patches)
            visible = visible.reshape(*x.shape[:2], -1)
        z, state = views.project(
            model,
            head,
            params,
            state,
            x,
            mode=mode,
            key=key,
            num_chunks=num_chunks,
            visible=visible,
        )
        settings: dict[str, Any] = {
            "temperature": temperature,
            "valid": batch["valid"],
            # A batch from the end of one epoch to the start of the next can have a song twice.
            "same": batch["group"] if same_track == "ignore" else batch["index"],
            "block_size": block_size,
        }
        if bilinear:
            contrast = contrast_bilinear(z[:, 0], z[:, 1], params["bilinear"], **settings)
        else:
            # Every view is an anchor; the loss of a song is the mean of its own.
            contrast = jax.tree.map(
                lambda of_views: of_views.mean(axis=1), contrast_views(z, **settings)
            )
        metrics = {"contrastive_accuracy": contrast.correct, **diagnose(z, valid=batch["valid"])}
        return Loss(contrast.loss, state, metrics)

    loss = functools.partial(run, mode="train")
    evaluate = functools.partial(run, mode="evaluate")
    return Objective(init, loss, evaluate, num_views)
