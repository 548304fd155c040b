"""A stand-in for SLURM: sbatch, srun, scontrol and sacct of a cluster of one node, which is this machine."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

JOB = 4242

# Each begins with the interpreter and the folder where the cluster keeps what it knows.
PROGRAMS = {
    "sbatch": f"""
import re, shutil, subprocess, sys
shutil.copy(sys.argv[1], FOLDER / "script.sh")
last = re.search(r"--array=0-(\\d+)", open(sys.argv[1]).read())
print("Submitted batch job {JOB}", flush=True)
for task in range(int(last[1]) + 1) if last else [None]:
    start(task)
""",
    "srun": """
import os, sys
command = sys.argv[1:]
while command[0].startswith("--"):
    del command[: 1 if command[0] == "--unbuffered" else 2]
os.execvp(command[0], command)
""",
    "scontrol": """
import re, sys
assert sys.argv[1] == "requeue"
task = re.search(r"_(\\d+)$", sys.argv[2])
with open(FOLDER / "requeued", "a") as file:
    file.write(sys.argv[2] + "\\n")
start(int(task[1]) if task else None)
""",
    "sacct": f"""
print("JobID|State|NodeList")
for task in range(10):
    print(f"{JOB}_{{task}}|RUNNING|here")
""",
}
START = f"""
def start(task):
    import os, subprocess
    environment = dict(os.environ, SLURM_JOB_ID="{JOB}", SLURM_JOB_NAME="resnet_lab", SLURM_NTASKS="1",
        SLURM_NTASKS_PER_NODE="1", SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_JOB_NUM_NODES="1",
        SLURM_JOB_NODELIST="here")
    if task is not None:
        environment |= dict(SLURM_ARRAY_JOB_ID="{JOB}", SLURM_ARRAY_TASK_ID=str(task))
    with open(FOLDER / "log", "a") as log:
        subprocess.Popen(["bash", FOLDER / "script.sh"], env=environment, stdout=log, stderr=log)
"""


class Slurm:
    """The cluster, with its programs on the PATH of the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        for name, text in PROGRAMS.items():
            program = folder / name
            program.write_text(
                f"#!{sys.executable}\nfrom pathlib import Path\nFOLDER = Path({str(folder)!r})\n{START}{text}"
            )
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    @property
    def script(self) -> str:
        """What sbatch was given last."""
        return (self.folder / "script.sh").read_text()

    @property
    def options(self) -> dict[str, str]:
        """Its #SBATCH lines."""
        return dict(re.findall(r"#SBATCH --([\w-]+)=(.*)", self.script))

    @property
    def requeued(self) -> list[str]:
        """The jobs that were queued again."""
        file = self.folder / "requeued"
        return file.read_text().split() if file.exists() else []

    @staticmethod
    def announce(process: int) -> None:
        """What a job hears first when SLURM takes its node back."""
        os.kill(process, signal.SIGTERM)

    @staticmethod
    def preempt(process: int) -> None:
        """The signal that the script asks for."""
        os.kill(process, signal.SIGUSR2)
