"""`pipeline run`: the stages, one after another, over all clips."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.fingerprint import stamp
from pipeline.keypoint_archive import import_archive
from pipeline.ledger import DONE, FAILED, Ledger, Row
from pipeline.manifest import Sample
from pipeline.plan import StagePlan, done_facts, plan_stage
from pipeline.progress import progress
from pipeline.runner import Task, run_tasks
from pipeline.shards_stage import ShardItem, plan_shards, write_dataset, write_shards
from pipeline.stages import CLIP_STAGES, Clips, RunSettings, Stage
from shards.errors import InputError


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
        InputError: the shards stage has clips before it that no earlier stage has tried.
    """
    stamps = {sample.id: (stamp(sample.color), stamp(sample.depth)) for sample in samples}
    clips = Clips({sample.id: sample for sample in samples}, settings, stamps)
    outcomes = [_run_stage(stage, clips) for stage in CLIP_STAGES]
    if "shards" in settings.stages:
        outcomes.append(_make_shards(clips, {row.id for outcome in outcomes for row in outcome.failed}))
    return [outcome for outcome in outcomes if outcome.stage in settings.stages]


def _run_stage(stage: Stage, clips: Clips) -> Outcome:
    ledger = Ledger(clips.settings.workspace.ledgers, stage.name)
    clips.fingerprints[stage.name] = stage.fingerprints(clips)
    plan = plan_stage(stage.name, clips.samples, clips.fingerprints[stage.name], ledger.rows, stage.results(clips))
    ready = plan.ready
    if stage.name in clips.settings.stages:
        print(plan.describe(), file=sys.stderr)
        if plan.todo:
            for row in progress(_rows(stage, clips, plan), len(plan.todo), stage.name):
                ledger.record(row)
        ledger.fold(keep=clips.samples)
    else:
        ready = {key: value for key, value in ready.items() if key not in plan.todo}
    facts = clips.facts[stage.name] = done_facts(ready, plan.ready, ledger.rows)
    failed = [
        row for key, row in ledger.rows.items() if row.status == FAILED and plan.ready.get(key) == row.fingerprint
    ]
    return Outcome(stage.name, len(facts), len(facts.keys() & plan.todo.keys()), failed, len(plan.waiting))


def _rows(stage: Stage, clips: Clips, plan: StagePlan) -> Iterator[Row]:
    """What comes of a stage's clips, in any order."""
    if stage.name == "keypoints" and clips.settings.source.archive:
        wanted = {key: (value, clips.facts["frames"][key]["frames"]) for key, value in plan.todo.items()}
        return import_archive(list(clips.settings.source.archive), wanted, clips.settings.workspace)
    tasks = (Task(key, value, stage.work(clips, key, i)) for i, (key, value) in enumerate(plan.todo.items()))
    return run_tasks(tasks, clips.settings.jobs)


def _make_shards(clips: Clips, failed: set[str]) -> Outcome:
    at, crops = clips.settings, clips.facts["handcrops"]
    undone = [key for key in clips.samples if key not in crops and key not in failed]
    if undone:
        raise InputError(f"{len(undone)} clips, e.g. {undone[0]}, have no hand crops yet; run the earlier stages first")
    if not crops:
        raise InputError(
            f"{at.workspace.root}: no clip came through the earlier stages; see `pipeline status --failed`"
        )
    items = [
        ShardItem(
            clips.samples[key],
            at.workspace.handcrops(key),
            clips.fingerprints["handcrops"][key],
            clips.facts["frames"][key]["frames"],
            facts,
        )
        for key, facts in crops.items()
    ]
    shards = plan_shards(items, at.samples_per_shard)
    ledger = Ledger(at.workspace.ledgers, "shards")
    rows = write_shards(
        at.shards, shards, ledger, lambda tasks: progress(run_tasks(tasks, at.jobs), len(tasks), "shards")
    )
    ledger.fold(keep=shards)
    bad = [row for row in rows if row.status != DONE]
    if not bad:
        settings = {"estimator": at.source.name, "quality": at.crops.quality}
        write_dataset(at.shards, shards, ledger.rows, at.recipe, settings, at.classes)
    return Outcome("shards", len(shards) - len(bad), len(rows) - len(bad), bad)
