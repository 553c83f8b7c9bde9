"""The stages, one after another, over all clips. It knows no stage by name: see `pipeline.stages.stage`."""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.plan import plan_stage
from pipeline.pose.importing import LOOK, ImportRules
from pipeline.pose.source import KeypointSource
from pipeline.stages.earlier import EarlierVersion, TakenOver
from pipeline.stages.frames import Frames
from pipeline.stages.handcrops import QUALITY, HandCrops
from pipeline.stages.keypoints import KeypointStage
from pipeline.stages.poseflow import PoseFlow
from pipeline.stages.shards import PlannedShards, plan_shards, same_keypoints
from pipeline.stages.stage import Stage
from pipeline.status import StageSummary, hand_shares
from pipeline.workers.dask import Cluster
from pipeline.workers.local import Engine, end_workers, run_tasks
from pipeline.workspace.clip import Clip, Sample
from pipeline.workspace.driver_lock import Part
from pipeline.workspace.fingerprint import stamp_files
from pipeline.workspace.ledger import Ledger
from pipeline.workspace.paths import STAGES, Workspace
from pipeline.workspace.result import named
from pipeline.workspace.row import DONE, FAILED, LedgerRow
from pipeline.workspace.shard_folder import rows_to_keep, shards_folder
from shards.errors import InputError
from shards.files import remove_leftovers
from shards.format.dataset import SAMPLES_PER_SHARD, Dataset
from shards.format.recipe import DEFAULT, Recipe
from shards.progress import progress


@dataclass(frozen=True)
class RunSettings:
    """What a run needs besides the clips."""

    workspace: Workspace
    stages: tuple[str, ...]  # to run; the others are only looked up
    source: KeypointSource
    classes: list[str]
    recipe: Recipe = DEFAULT
    quality: int = QUALITY
    flow_archive: tuple[Path, ...] = ()
    shards: Path | None = None  # folder for them; None: the workspace's own
    samples_per_shard: int = SAMPLES_PER_SHARD
    jobs: int = 1
    scheduler: str | None = None  # of a Dask cluster, instead of local processes
    part: Part | None = None
    ffmpeg: str | None = None
    rules: ImportRules = LOOK  # for keypoint files
    take_damaged: bool = False
    depth_range: tuple[float, float] | None = None
    with_crops: bool = True  # False: for a model that sees keypoints alone, clips are taken as if without video

    @property
    def with_shards(self) -> bool:
        """Whether shards are to be made."""
        return STAGES[-1] in self.stages

    @property
    def shards_folder(self) -> Path:
        """Where they go."""
        return self.shards or self.workspace.shards

    def clip_stages(self) -> list[Stage]:
        """The stages before the shards, as far as they are needed."""
        stages: list[Stage] = [
            Frames(self.workspace, self.ffmpeg, self.take_damaged, self.depth_range, self.rules),
            KeypointStage(self.workspace, self.source, self.rules, self.ffmpeg),
            PoseFlow(self.workspace, self.recipe, self.flow_archive),
            HandCrops(self.workspace, self.recipe, self.quality, self.ffmpeg, self.take_damaged, self.depth_range),
        ]
        stages = stages[: 1 + max(map(STAGES.index, self.stages))]
        return stages if self.with_crops else [stage for stage in stages if not isinstance(stage, HandCrops)]

    def earlier_version(self) -> EarlierVersion:
        """For what it made with these settings."""
        return EarlierVersion(self.workspace, self.source, self.recipe, self.flow_archive, self.quality)


def run_stages(samples: Sequence[Sample], settings: RunSettings) -> list[StageSummary]:
    """Run the stages that were asked for; the others are only looked up.

    Raises:
        InputError: a stage can do nothing, or not all of the shards, before an earlier one has been run.
        OSError: the disk is full or read-only.
        RunError: the cluster is gone.
    """
    # The folder first: what is wrong with it should be said now, not after days of work.
    with _hold_shards(samples, settings), _engine(settings) as run:
        clips = [Clip(sample, stamp_files(sample.color), stamp_files(sample.depth)) for sample in samples]
        outcomes: list[StageSummary] = []
        for stage in settings.clip_stages():
            outcome, clips = _run_stage(stage, clips, len(samples) - len(clips), settings, run)
            outcomes.append(outcome)
            if stage.name in settings.stages:
                _refuse_all_waiting(outcomes, samples)
        if settings.with_shards:
            _refuse_undone(samples, clips, outcomes)
            outcomes.append(_make_shards(clips, settings, run))
    # Shards lack the clips that failed in any stage, also in one that was not asked for.
    return [one for one in outcomes if one.stage in settings.stages or (settings.with_shards and one.failed)]


@contextmanager
def _engine(settings: RunSettings) -> Iterator[Engine]:
    """What runs a stage's tasks: local worker processes, or a Dask cluster."""
    if settings.scheduler:
        with closing(Cluster(settings.scheduler)) as cluster:
            yield cluster.run
        return
    try:
        yield lambda tasks: run_tasks(tasks, settings.jobs)
    except BaseException:
        end_workers()
        if settings.part is None:  # other parts may be writing
            settings.workspace.remove_leftovers()
        if settings.with_shards:
            remove_leftovers(settings.shards_folder)
        raise


def _run_stage(
    stage: Stage, clips: list[Clip], waiting: int, settings: RunSettings, run: Engine
) -> tuple[StageSummary, list[Clip]]:
    """What came of a stage, and those of the clips that have come through it or are passed by."""
    ledger = Ledger(settings.workspace.ledgers, stage.name, settings.part.name if settings.part else "")
    concerned = [clip for clip in clips if stage.applies(clip)]
    for clip in concerned:
        clip.fingerprints[stage.name] = stage.fingerprint(clip)
    _tell_taken_over(stage.name, settings.earlier_version().take_over(stage, concerned, ledger))
    plan = plan_stage(stage.name, concerned, ledger.rows, stage.results(), stage.restore)
    if asked := stage.name in settings.stages:
        print(plan.describe(len(clips) - len(concerned)), file=sys.stderr)
        if plan.todo:
            rows = stage.make(plan.todo, run)
            for row in progress(rows, len(plan.todo), stage.name, size=partial(_new, set())):
                ledger.record(named(row, stage.result(row.id)))
    ledger.fold()  # clips that are not here now may come back: their results are kept, and so are their rows
    todo = {clip.id for clip in plan.todo}
    came, failed, warnings = _sort_out(stage, clips, ledger.rows, set() if asked else todo)
    done, now = [ledger.rows[clip.id] for clip in came if stage.applies(clip)], sum(clip.id in todo for clip in came)
    return StageSummary(stage.name, len(done), now, failed, waiting, warnings, hand_shares(done)), came


def _new(known: set[str], row: LedgerRow) -> bool:
    """Whether a row is of a clip that had none: one that is in an archive twice fails after it was done."""
    before = len(known)
    known.add(row.id)
    return len(known) > before


def _sort_out(
    stage: Stage, clips: Iterable[Clip], rows: Mapping[str, LedgerRow], unmade: Collection[str]
) -> tuple[list[Clip], list[LedgerRow], list[str]]:
    """The clips that have come through a stage or are passed by, the rows of those that failed, and warnings.

    What a row says is put into the clip's record.
    """
    came, failed, warnings = [], [], []
    for clip in clips:
        row = rows.get(clip.id)
        if not stage.applies(clip):
            came.append(clip)
        elif row and row.fingerprint == clip.fingerprints[stage.name]:
            if row.status == FAILED:
                failed.append(row)
            elif row.status == DONE and clip.id not in unmade:
                try:
                    stage.found(clip, row)
                    warnings += [f"{clip.id}: {note}" for note in stage.notes(row)]
                except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                    place = f"{stage.workspace.ledgers / stage.name}.*: damaged (row of {clip.id})"
                    raise InputError(f"{place}; remove it, and what it listed is done again") from error
                came.append(clip)
    return came, failed, warnings


def _tell_taken_over(stage: str, taken: TakenOver) -> None:
    if taken.whole:
        print(f"{stage}: {taken.whole} results of an earlier version are taken over as they are", file=sys.stderr)
    if taken.unmarked:
        lack = "do not say which hands were guessed: that is added, and nothing is cut again"
        print(f"{stage}: {taken.unmarked} results of an earlier version {lack}", file=sys.stderr)


def _refuse_all_waiting(outcomes: Sequence[StageSummary], samples: Sequence[Sample]) -> None:
    """InputError where the last stage has no clip to work on, because the ones before were not run."""
    last = outcomes[-1]
    if samples and last.waiting == len(samples) and not any(one.failed for one in outcomes):
        undone = next(one.stage for one in outcomes if not one.done)
        raise InputError(
            f"{last.stage}: none of {last.waiting} clips, e.g. {samples[0].id}, has come through {undone} "
            f"with these options; run --stage {undone} first"
        )


def _refuse_undone(samples: Sequence[Sample], clips: Sequence[Clip], outcomes: Sequence[StageSummary]) -> None:
    """InputError where clips have neither come through all stages nor failed in one."""
    known = {clip.id for clip in clips} | {row.id for outcome in outcomes for row in outcome.failed}
    if undone := [sample.id for sample in samples if sample.id not in known]:
        raise InputError(f"{len(undone)} clips, e.g. {undone[0]}, have no hand crops yet; run the earlier stages first")


def _hold_shards(samples: Sequence[Sample], settings: RunSettings) -> AbstractContextManager[None]:
    if not settings.with_shards:
        return nullcontext()
    rows = Ledger(settings.workspace.ledgers, STAGES[-1]).rows
    return shards_folder(settings.shards_folder, {sample.split for sample in samples}, settings.workspace, rows)


def _make_shards(clips: Sequence[Clip], settings: RunSettings, run: Engine) -> StageSummary:
    name, folder = STAGES[-1], settings.shards_folder
    if not clips:
        print(f"no shards: no clip came through; {folder} is left as it is", file=sys.stderr)
        return StageSummary(name, 0, 0)
    planned = PlannedShards(folder, plan_shards(clips, settings.samples_per_shard), settings.workspace)
    ledger = Ledger(settings.workspace.ledgers, name)
    _tell_taken_over(name, TakenOver(settings.earlier_version().take_over_shards(planned, ledger)))
    rows = planned.write(ledger, lambda tasks: progress(run(tasks), len(tasks), name, "shard"))
    ledger.fold(keep=rows_to_keep(folder, planned.shards, ledger.rows))
    bad = [row for row in rows if row.status != DONE]
    if not bad:
        made_with = {"estimator": settings.source.name, "quality": settings.quality}
        made_with |= {"depth_range": list(settings.depth_range)} if settings.depth_range else {}
        dataset = Dataset(settings.recipe, made_with, settings.classes)
        if rows or not planned.is_finished(ledger.rows, dataset):
            planned.finish(ledger.rows, dataset)
    return StageSummary(
        name, len(planned.shards) - len(bad), len(rows) - len(bad), bad, warnings=[*same_keypoints(clips)]
    )
