"""`pipeline run`: the stages, one after another, over all clips."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from pipeline.plan import STAGES, StagePlan, done_facts, plan_stage
from pipeline.pose.keypoint_archive import POSE_FLOW, import_archive
from pipeline.stages.shards import ShardItem, plan_shards, rows_to_keep, shards_folder, write_dataset, write_shards
from pipeline.stages.stage import CLIP_STAGES, Clips, RunSettings, Stage
from pipeline.workers.dask import Cluster
from pipeline.workers.local import Task, end_workers, run_tasks
from pipeline.workspace.clip import Sample
from pipeline.workspace.fingerprint import stamp
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.row import DONE, FAILED, Row
from shards.errors import InputError
from shards.files import remove_leftovers
from shards.progress import progress

Engine = Callable[[list[Task]], Iterator[Row]]


@dataclass(frozen=True)
class Outcome:
    """What came of a stage, for the summary."""

    stage: str
    done: int  # all in all
    now: int  # of those, in this run
    failed: list[Row] = field(default_factory=list)
    waiting: int = 0  # clips that an earlier stage has not done


def run_stages(samples: list[Sample], settings: RunSettings) -> list[Outcome]:
    """Run the stages that were asked for; the others are only looked up.

    Raises:
        InputError: a stage can do nothing, or not all of the shards, before an earlier one has been run.
        OSError: the disk is full or read-only.
        RunError: the cluster is gone.
    """
    stamps = {sample.id: (stamp(sample.color), stamp(sample.depth)) for sample in samples}
    clips = Clips({sample.id: sample for sample in samples}, settings, stamps)
    with_shards = "shards" in settings.stages
    # The folder first: what is wrong with it should be said now, not after days of work.
    with _shards_folder(clips) if with_shards else nullcontext(), _engine(settings) as run:
        outcomes: list[Outcome] = []
        for stage in CLIP_STAGES[: 1 + max(map(STAGES.index, settings.stages))]:
            outcomes.append(_run_stage(stage, clips, run))
            if stage.name in settings.stages:
                _refuse_all_waiting(outcomes, clips)
        if with_shards:
            outcomes.append(_make_shards(clips, {row.id for outcome in outcomes for row in outcome.failed}, run))
    # Shards lack the clips that failed in any stage, also in one that was not asked for.
    return [one for one in outcomes if one.stage in settings.stages or (with_shards and one.failed)]


@contextmanager
def _engine(settings: RunSettings) -> Iterator[Engine]:
    """What runs a stage's tasks: local worker processes, or a Dask cluster."""
    if settings.scheduler is None:
        finished = False
        try:
            yield lambda tasks: run_tasks(tasks, settings.jobs)
            finished = True
        finally:
            if not finished:
                end_workers()
                if settings.part is None:  # other parts may be writing
                    settings.workspace.remove_leftovers()
                if "shards" in settings.stages:
                    remove_leftovers(settings.shards)
        return
    cluster = Cluster(settings.scheduler)
    try:
        yield cluster.run
    finally:
        cluster.close()


def _run_stage(stage: Stage, clips: Clips, run: Engine) -> Outcome:
    ledger = Ledger(
        clips.settings.workspace.ledgers, stage.name, clips.settings.part.name if clips.settings.part else ""
    )
    clips.fingerprints[stage.name] = stage.fingerprints(clips)
    results = stage.results(clips, ledger.rows)
    plan = plan_stage(stage.name, clips.samples, clips.fingerprints[stage.name], ledger.rows, results)
    ready = plan.ready
    if stage.name in clips.settings.stages:
        print(plan.describe(), file=sys.stderr)
        if plan.todo:
            for row in progress(_rows(stage, clips, plan, run), len(plan.todo), stage.name):
                ledger.record(row)
        ledger.fold()  # clips that are not here now may come back: their results are kept, and so are their rows
    else:
        ready = {key: value for key, value in ready.items() if key not in plan.todo}
    facts = clips.facts[stage.name] = done_facts(ready, plan.ready, ledger.rows)
    failed = [
        row for key, row in ledger.rows.items() if row.status == FAILED and plan.ready.get(key) == row.fingerprint
    ]
    return Outcome(stage.name, len(facts), len(facts.keys() & plan.todo.keys()), failed, len(plan.waiting))


def _refuse_all_waiting(outcomes: list[Outcome], clips: Clips) -> None:
    """InputError where the last stage has no clip to work on, because the ones before were not run."""
    last = outcomes[-1]
    if last.waiting and last.waiting == len(clips.samples) and not any(one.failed for one in outcomes):
        undone = next(one.stage for one in outcomes if not one.done)
        raise InputError(
            f"{last.stage}: none of {last.waiting} clips, e.g. {next(iter(clips.samples))}, has come through {undone} "
            f"with these options; run --stage {undone} first"
        )


def _rows(stage: Stage, clips: Clips, plan: StagePlan, run: Engine) -> Iterator[Row]:
    """What comes of a stage's clips, in any order."""
    source, workspace = clips.settings.source, clips.settings.workspace
    if stage.name == "keypoints" and source.archive:
        wanted = {key: (value, clips.facts["frames"][key]["frames"]) for key, value in plan.todo.items()}
        yield from stage.with_marks(clips, import_archive(list(source.archive), wanted, workspace))
        return
    if stage.name == "poseflow" and clips.settings.flow_archive:
        wanted = {key: (value, clips.facts["frames"][key]["frames"] - 1) for key, value in plan.todo.items()}
        parts = list(clips.settings.flow_archive)
        yield from stage.with_marks(clips, import_archive(parts, wanted, workspace, POSE_FLOW))
        return
    yield from run([stage.task(clips, key, value, i) for i, (key, value) in enumerate(plan.todo.items())])
    if stage.name == "keypoints" and source.estimator:
        end_workers()  # an estimator that stays up between clips would keep its memory for the rest of the run


def _shards_folder(clips: Clips) -> AbstractContextManager[None]:
    at = clips.settings
    splits = {sample.split for sample in clips.samples.values()}
    return shards_folder(at.shards, splits, at.workspace, Ledger(at.workspace.ledgers, "shards").rows)


def _make_shards(clips: Clips, failed: set[str], run: Engine) -> Outcome:
    at, crops = clips.settings, clips.facts["handcrops"]
    undone = [key for key in clips.samples if key not in crops and key not in failed]
    if undone:
        raise InputError(f"{len(undone)} clips, e.g. {undone[0]}, have no hand crops yet; run the earlier stages first")
    if not crops:
        print(f"no shards: no clip came through; {at.shards} is left as it is", file=sys.stderr)
        return Outcome("shards", 0, 0)
    items = [
        ShardItem(
            clips.samples[key],
            clips.fingerprints["handcrops"][key],
            clips.facts["frames"][key]["frames"],
            facts,
        )
        for key, facts in crops.items()
    ]
    shards = plan_shards(items, at.samples_per_shard)
    ledger = Ledger(at.workspace.ledgers, "shards")
    rows = write_shards(
        at.shards, shards, at.workspace, ledger, lambda tasks: progress(run(tasks), len(tasks), "shards", "shard")
    )
    ledger.fold(keep=rows_to_keep(at.shards, shards, ledger.rows))
    bad = [row for row in rows if row.status != DONE]
    if not bad:
        settings = {"estimator": at.source.name, "quality": at.crops.quality}
        write_dataset(at.shards, shards, ledger.rows, at.recipe, settings, at.classes)
    return Outcome("shards", len(shards) - len(bad), len(rows) - len(bad), bad)
