"""A sweep of listed jobs, from the plan to the list of failures."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from rich.progress import track

from resnet_lab.config.checks import ConfigError
from resnet_lab.config.hydra_private import failure
from resnet_lab.interrupts import RunFailed, TimeUp
from resnet_lab.rundir.plans import write_plan
from resnet_lab.sweep.composer import Composer
from resnet_lab.sweep.plan import UNFINISHED, JobState, examine, labels, listing, without_repetitions
from resnet_lab.tasks.pretrained import look_again
from resnet_lab.text import plain_console, plural
from resnet_lab.training.log import console, log, show_on_terminal

WIDE = 200  # characters, if the output is not a terminal


def sweep(composer: Composer, launcher: Launcher, jobs: Sequence[list[str]]) -> Sequence[JobReturn]:
    """Launch unfinished jobs, longest first; with `dry_run` only list the jobs.

    Before any job starts, raises an error of Hydra if a job names an unknown option, and ConfigError if no job can
    run. Raises RunFailed with a list if jobs failed, cannot run or have reached trainer.max_time.
    """
    show_on_terminal()
    look_again()
    tracked = track(jobs, "planning", console=console, transient=True, disable=not console.is_terminal)
    labelled = zip(tracked, labels(jobs, composer.fixed), strict=True)
    settings = composer.config.hydra.launcher
    plan = without_repetitions([examine(composer(job), job, label, settings) for job, label in labelled])
    if len(plan) < len(jobs):
        log.info("skipping %s: repeated runs", plural(len(jobs) - len(plan), "job"))
    if any(job.config and job.config.dry_run for job in plan):
        plain_console(WIDE).print(listing(plan))
        return []
    impossible = {job.label: job.why for job in plan if job.state is JobState.impossible}
    if plan and len(impossible) == len(plan):
        first, *others = dict.fromkeys(impossible.values())
        raise ConfigError(f"none of {len(plan)} jobs can run, the first since {first}" if others else first)
    counts = Counter(job.state.value for job in plan)
    log.info("%s: %s", plural(len(plan), "job"), ", ".join(f"{count} {state}" for state, count in counts.items()))
    for line in shared(impossible, len(plan), "impossible"):
        log.info("%s", line)
    try:
        write_plan(plan)
    except OSError as error:  # a job that cannot write to the folder reports that itself
        log.warning("cannot store the plan, so reports will not list missing jobs: %s", error)
    left = sorted((job for job in plan if job.state in UNFINISHED), key=lambda job: -job.work)
    returns = launcher.launch([job.overrides for job in left], initial_job_idx=0) if left else []
    errors = {job.label: error for job, error in zip(left, map(failure, returns), strict=True) if error}
    stopped = {label: str(error) for label, error in errors.items() if isinstance(error, TimeUp)}
    failures = {job.label: job.why for job in plan if job.why}
    failures |= {label: str(error) for label, error in errors.items() if label not in stopped}
    folders = sorted({str(job.path.parents[1]) for job in plan if job.path})
    log.info("to compare: resnet-lab report %s", " ".join(map(shlex.quote, folders)))
    summary = [*shared(failures, len(plan), "failed"), *shared(stopped, len(plan), "stopped, to be continued")]
    if summary:
        raise RunFailed("\n".join(summary))
    return returns


def shared(reasons: dict[str, str], num_jobs: int, what: str) -> Iterator[str]:
    """Yield a heading, and one line for each reason with all jobs that share it; nothing without reasons."""
    if reasons:
        yield f"{len(reasons)} of {num_jobs} jobs {what}:"
    for why in dict.fromkeys(reasons.values()):
        yield f"  {', '.join(label for label in reasons if reasons[label] == why)}: {why}"
