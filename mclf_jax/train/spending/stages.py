"""The stages that a batch goes through before a step has it, and what makes each of them faster."""

from ml_collections import ConfigDict

from mclf_jax.data import pipeline

WHAT = {
    "read": "read and decode the window",
    "resample": "bring it to the network's rate and cut it",
    "augment": "change it",
    "features": "compute its features",
    "batch": "put the batch together",
    "transfer": "copy the batch to the devices",
}
assert tuple(WHAT)[:-1] == pipeline.STAGES


def advice(stage: str, config: ConfigDict) -> str:
    """What to change in a config, beside threads and processes, whose input waits for a stage.

    "" where nothing else would help.
    """
    prepared = config.data.name == "prepared" or config.data.name.startswith("tfds")
    if stage == "read" and not prepared:
        return "decode once with `mclf data prepare`, and read that (data.name=prepared)"
    if stage == "read":
        return "read from a disk in this machine, or from memory (/dev/shm)"
    if stage == "resample":
        return (
            "prepare the data at the rate of the network: `mclf data prepare ... --sample-rate-hz`"
        )
    if stage == "augment":
        return "augment.on=device features.on=device have the device do it in the step"
    if stage == "features":
        return "features.on=device has the device compute them in the step"
    if stage == "transfer" and config.features.on == "device":
        return "features.on=pipeline, where features are smaller than audio"
    return ""
