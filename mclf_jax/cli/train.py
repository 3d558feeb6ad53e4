"""`mclf train`, `inspect` and `sweep`: what a config describes, trained or only looked at."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import interrupt


def add_commands(commands: Any) -> None:
    """Declare them."""
    train = flags.add_command(
        commands,
        _train,
        examples=(
            "mclf train --config folder:path=DIR --workdir runs/mine",
            "mclf train --config cola --from DIR --workdir runs/cola --config.train.batch_size 48",
        ),
        goes_on="yes",
    )
    flags.add_config(train)
    train.add_argument("--workdir", required=True, help="run directory, new or to be continued")
    flags.add_data_change(train)
    train.add_argument(
        "--extend",
        dest="config_change",
        action="store_const",
        const="extend",
        default="refuse",
        help="go on with a run that is there although train.num_steps or num_epochs is larger now",
    )
    train.add_argument(
        "--profile-steps",
        default="",
        metavar="A:B",
        help="write a trace of these steps for xprof, to `profile` of the run",
    )
    train.add_argument(
        "--distributed", action="store_true", help="join the other processes of this run first"
    )

    inspect = flags.add_command(
        commands,
        _inspect,
        examples=(
            "mclf inspect --config folder:path=DIR",
            "mclf inspect --config won2020:model=fcn --from MTAT",
            "mclf inspect --config clmr --from DIR --topology v5e:16x16 "
            "--config.train.batch_size 4096",
        ),
    )
    flags.add_config(inspect)
    inspect.add_argument(
        "--topology",
        metavar="CHIP:SHAPE",
        help="compile the training step for these devices, which need not be there, and say what "
        "it costs on each: v5e:16x16 and other TPUs (with mclf-jax[tpu]), or cpu:N",
    )
    inspect.add_argument("--json", action="store_true", help="with --topology: print that as JSON")

    sweep = flags.add_command(
        commands,
        _sweep,
        examples=(
            "mclf sweep --config ablations/frontend --workdir runs/frontend",
            "mclf sweep --config folder:path=DIR,init=none --workdir runs/sizes --jobs 2 --seeds 3 "
            "--vary model.args.n_channels=16,32 optim.learning_rate=1e-3,3e-4",
        ),
        goes_on="yes",
    )
    flags.add_config(sweep)
    sweep.add_argument("--workdir", required=True, help="folder of the runs and of the table")
    sweep.add_argument(
        "--split",
        nargs="+",
        default=("test",),
        choices=flags.SPLITS,
        help=f"of songs to score, with a table each; {flags.HIDDEN}",
    )
    sweep.add_argument(
        "--vary",
        nargs="+",
        metavar="FIELD=V,V",
        help="in place of the config's sweep(): every combination of these values",
    )
    sweep.add_argument("--seeds", type=int, help="of each combination of --vary (default: 1)")
    sweep.add_argument(
        "--jobs", type=int, default=1, help="settings at a time, each on its share of the cores"
    )
    sweep.add_argument(
        "--dry-run",
        action="store_true",
        help="only print one command a setting, for a queue; when these have run, the sweep makes "
        "the tables",
    )


def _train(arguments: argparse.Namespace) -> int:
    """Train what a config describes, or go on where it stopped. Exit code 75 if a signal
    stopped it: the same command goes on from there."""
    from mclf_jax import config as config_lib
    from mclf_jax.common import parallel, peers
    from mclf_jax.train import train

    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    if arguments.distributed:
        parallel.start()
    changes = {"data_change": arguments.data_change, "config_change": arguments.config_change}
    with peers.failing_together():
        outcome = train(
            config, workdir=arguments.workdir, profile_steps=arguments.profile_steps, **changes
        )
    best = ""
    if outcome.best_value is not None:
        best = f"; best {config.eval.metric} {outcome.best_value:.4f} at step {outcome.best_step}"
    print(f"{outcome.status} at step {outcome.step}{best}: {arguments.workdir}")
    if outcome.status != "interrupted":
        return 0
    print("the same command goes on from there")
    return interrupt.SAVED


def _inspect(arguments: argparse.Namespace) -> None:
    """Look at an experiment without training it, or at what its step costs on other devices."""
    if arguments.json and not arguments.topology:
        raise ValueError("--json is for what --topology finds; give both")
    if arguments.topology:
        # The programs are for devices that are not here; what is here is not asked.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from mclf_jax import config as config_lib

    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    if arguments.topology:
        from mclf_jax.train.topology.cost import cost_of

        cost = cost_of(config, topology=arguments.topology)
        print(json.dumps(cost.to_json(), indent=2) if arguments.json else cost.text())
        return
    from mclf_jax.train.overview import describe

    for section in describe(config):
        print(section, flush=True)


def _sweep(arguments: argparse.Namespace) -> int:
    """Train and evaluate every setting of a config's sweep(), or of --vary, stages in their
    order, and probe those without labels by its probes()."""
    from mclf_jax import config as config_lib
    from mclf_jax.sweep import commands, probes_of, settings_of
    from mclf_jax.sweep.settings import vary

    where = {"workdir": arguments.workdir}
    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    if arguments.vary:
        settings = vary(arguments.vary, config=config, num_seeds=arguments.seeds or 1)
    elif arguments.seeds is not None:
        raise ValueError("--seeds is for --vary; a config's sweep() has seeds of its own")
    else:
        settings = settings_of(arguments.config)
    for field, count in commands.count_overruled(settings, arguments.overrides).items():
        own = f"{count} of {len(settings)} settings have a value of their own"
        print(f"--config.{field}: {own}", file=sys.stderr)
    if arguments.dry_run or arguments.jobs != 1:
        made = {"overrides": arguments.overrides, **where}
        jobs = commands.make_jobs(arguments.config, settings, **made)
        if left := len(settings) - len(jobs):
            told = "encoders that train nothing: the sweep itself probes them, one after the other"
            print(f"{left} of {len(settings)} settings are {told}", file=sys.stderr)
    if arguments.dry_run:
        for line in commands.make_commands(jobs):
            print(line)
        return 0
    if arguments.jobs != 1:
        from mclf_jax.sweep.jobs import run_jobs

        run_jobs(jobs, workdir=Path(arguments.workdir), at_a_time=arguments.jobs)
    from mclf_jax.sweep.run import run

    probes = probes_of(arguments.config)
    results = run(config, settings, splits=arguments.split, probes=probes, **where)
    if results:
        print((Path(arguments.workdir) / "sweep.md").read_text(encoding="utf-8"))
    done = [result for result in results if result["status"] == "finished"]
    return 0 if len(done) == len(settings) else 1
