"""A job that resumes: a corpus in, a folder of shards out.

A shard is written by whoever labels its part; the job's own process alone writes that it is complete.
Killed at any moment, the job goes on where it was when the same command is given again, and its shards
are the same bytes in the end.
"""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from framelens.corpus import Counts
from framelens.decoding import unusable
from framelens.errors import JobError
from framelens.fingerprint import describe_files, differences, fingerprint
from framelens.jobfolder import open_job_folder
from framelens.jobs import check_job, refuse_unreadable
from framelens.manifest import build_manifest
from framelens.part_tasks import PartTasks, TaskMaker
from framelens.progress import Reporter
from framelens.storage import address
from framelens.survey import survey_inputs
from framelens.workers import Crew, available_cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from framelens.jobfolder import JobFolder
    from framelens.jobs import LabelJob, Prepared
    from framelens.ray_crew import RayCrew
    from framelens.survey import Part
    from framelens.workers import ModelSettings

__all__ = ["EngineName", "Outcome", "run_corpus"]

#: What the workers of a job are: processes here, or actors of a Ray cluster.
EngineName = Literal["local", "ray"]

_SCHEMA_VERSION: Final = 1
#: Bytes of text that a sentence has, about; to tell whether a corpus is worth several workers.
_BYTES_OF_SENTENCE: Final = 100
_CHANGES_SHOWN: Final = 4
#: While one of them waits for the GPU, the others read, tokenise and write.
_WORKERS_OF_A_GPU: Final = 4


@dataclass(frozen=True)
class Outcome:
    """What a job has come to.

    Attributes:
        counts: of all its runs together.
        had_been_done: whether there was nothing left to do.
    """

    counts: Counts
    had_been_done: bool


def run_corpus(
    job: LabelJob,
    settings: ModelSettings,
    err: Console,
    *,
    workers: int | None = None,
    engine: EngineName = "local",
) -> Outcome:
    """Label a corpus into a folder of shards, or go on with that.

    Args:
        job: what to do; its output is a folder.
        settings: of the model.
        err: where progress goes.
        workers: processes; None takes as many as there are cores and work.
        engine: where they run; nothing in the shards depends on it.

    Raises:
        MissingExtraError: Ray is asked for and not installed.
        InputError: an input cannot be used, or is not what it was when the job was begun; or the folder
            holds another job: another model, other options, other inputs.
        JobError: another process works on the job, workers died, or the cluster cannot be used.
        KeyboardInterrupt: what is done stays.
    """
    prepared = check_job(job)
    settings = settings.pinned()
    with open_job_folder(job.output) as folder, Reporter(err) as reporter:
        for line in prepared.guessed_separators():
            reporter.say(line)
        run = _Run(job, settings, prepared, folder, reporter, engine)
        return run.go_on(workers)


class _Run:
    """One process's work on a job."""

    def __init__(
        self,
        job: LabelJob,
        settings: ModelSettings,
        prepared: Prepared,
        folder: JobFolder,
        reporter: Reporter,
        engine: EngineName,
    ) -> None:
        self._job = job
        self._settings = settings
        self._prepared = prepared
        self._folder = folder
        self._reporter = reporter
        self._engine = engine
        self._format = job.format or "parquet"

    def go_on(self, workers: int | None) -> Outcome:
        plan = self._folder.plan
        crew = None
        try:
            if plan is None:
                # A model that cannot be had is told before a long reading.
                crew = self._crew(workers, self._likely_parts())
                plan = self._begin()
            else:
                self._refuse_another(plan)
            refuse_unreadable(self._job, plan["unreadable"], plan["first_unreadable"])
            parts = self._folder.parts
            done = self._folder.committed(parts, self._format)
            pending = [part for part in parts if part.number not in done]
            if not pending and self._folder.finished:
                return Outcome(_sum(done), had_been_done=True)
            if done:
                self._reporter.say(f"going on: {len(done):,} of {len(parts):,} shards were done before")
            if pending:
                self._folder.reopen()
                crew = crew or self._crew(workers, len(pending))
                self._label(crew, plan, pending, done)
            self._finish(plan, parts, done, crew)
            return Outcome(_sum(done), had_been_done=False)
        finally:
            if crew is not None:
                crew.end()

    def _likely_parts(self) -> int:
        return 1 + self._prepared.weight // (self._job.shard_size * _BYTES_OF_SENTENCE)

    def _crew(self, workers: int | None, parts: int) -> Crew | RayCrew:
        if self._engine == "ray":
            from framelens.ray_crew import RayCrew

            return RayCrew(self._settings, workers)
        if workers is None:
            cores = available_cores()
            device = str(self._settings.options.get("device", "cpu"))
            most = _WORKERS_OF_A_GPU if device.startswith("cuda") else 1
            workers = min(parts, cores if device == "cpu" else min(cores, most))
        return Crew(self._settings, workers)

    def _fingerprint(self, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        job = asdict(self._job)
        names = (
            "unit", "text_column", "id_column", "context_column", "delimiter", "encoding", "shard_size",
            "format",
        )  # fmt: skip
        job |= {"format": self._format, "encoding": self._prepared.options.encoding}
        options = {name: job[name] for name in names} | self._settings.decisive
        if self._job.name is not None:
            options["name"] = self._job.name
        return fingerprint(
            inputs=inputs,
            model_digest=str(self._settings.digest),
            graph_digest=self._settings.graph_digest,
            options=options,
        )

    def _begin(self) -> dict[str, Any]:
        """Read the inputs through and write the plan."""
        started = time.monotonic()
        files = self._prepared.inputs.files
        survey = survey_inputs(
            self._prepared.infos,
            self._prepared.options,
            self._prepared.units,
            part_size=self._job.shard_size,
            typed=self._format == "parquet",
            seen=self._reporter.read,
        )
        refuse_unreadable(self._job, survey.n_unreadable, survey.first_unreadable)
        self._reporter.begin("taking digests of files", len(files))
        inputs = describe_files(files, seen=self._reporter.read)
        schema = None if survey.schema is None else survey.schema.serialize().to_pybytes()
        plan = {
            "schema_version": _SCHEMA_VERSION,
            "fingerprint": self._fingerprint(inputs),
            "records": survey.records,
            "columns": survey.columns,
            "arrow_schema": None if schema is None else base64.b64encode(schema).decode("ascii"),
            "unreadable": survey.n_unreadable,
            "first_unreadable": survey.first_unreadable,
            "skipped": self._prepared.inputs.skipped,
            "seconds": round(time.monotonic() - started, 3),
        }
        self._folder.begin(plan, survey.parts)
        return plan

    def _refuse_another(self, plan: Mapping[str, Any]) -> None:
        before = plan["fingerprint"]
        self._reporter.begin("looking for changes", len(self._prepared.inputs.files))
        inputs = describe_files(self._prepared.inputs.files, before["inputs"], self._reporter.read)
        changes = differences(before, self._fingerprint(inputs))
        if not changes:
            return
        more = len(changes) - _CHANGES_SHOWN
        listed = "; ".join(changes[:_CHANGES_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
        raise unusable(
            self._job.output,
            "the job that was begun there",
            f"another one: {listed}",
            "put it back as it was, or choose a new folder",
        )

    def _label(
        self,
        crew: Crew | RayCrew,
        plan: Mapping[str, Any],
        pending: list[Part],
        done: dict[int, dict[str, Any]],
    ) -> None:
        session, started = secrets.token_hex(4), time.monotonic()
        before = sum(report["records"] for report in done.values())
        self._reporter.begin("labelling", sum(plan["records"]), before)
        here = _Tally(self._reporter)
        try:
            for number, report in crew.run(self._tasks(plan, pending), here.tick):
                elapsed = round(time.monotonic() - started, 3)
                report |= {"session": session, "elapsed": elapsed}
                self._see(number, report)
                self._folder.commit(number, report)
                done[number] = report
                here.add(number, report)
        except KeyboardInterrupt:
            n_parts = len(pending) + len(done) - sum(part.number in done for part in pending)
            self._reporter.say(
                f"stopped: {len(done):,} of {n_parts:,} shards are done; the same command goes on from there"
            )
            raise

    def _see(self, number: int, report: Mapping[str, Any]) -> None:
        """Look whether a shard is where this process sees it, as it was reported.

        Raises:
            JobError: it is not: a worker on another machine has written somewhere else.
        """
        size = self._folder.size(number, self._format)
        if size != report["bytes"]:
            found = "no file" if size is None else f"{size:,}"
            raise JobError(
                f"{self._folder.shard(number, self._format)}: expected the {report['bytes']:,} bytes that a "
                f"worker has written, got {found}; every machine must see OUT/ under the same name"
            )

    def _tasks(self, plan: Mapping[str, Any], pending: Sequence[Part]) -> PartTasks:
        prepared = self._prepared
        maker = TaskMaker(
            job=self._job,
            infos=prepared.infos,
            options=prepared.options,
            units=prepared.units,
            records=plan["records"],
            format=self._format,
            columns=tuple(plan["columns"]),
            schema=None if plan["arrow_schema"] is None else base64.b64decode(plan["arrow_schema"]),
        )
        return PartTasks(
            maker, [(part, address(self._folder.shard(part.number, self._format))) for part in pending]
        )

    def _finish(
        self,
        plan: Mapping[str, Any],
        parts: Sequence[Part],
        done: Mapping[int, Mapping[str, Any]],
        crew: Crew | RayCrew | None,
    ) -> None:
        """Account for every record, and write the manifest."""
        # An object store has no lock that two commands could not take in the same moment.
        if self._folder.plan != plan:
            raise JobError(
                f"{self._job.output}: expected the job that was begun, got another one's plan; two commands "
                "were given at once: label into a new folder"
            )
        shards = []
        for part in parts:
            report = done[part.number]
            path = self._folder.shard(part.number, self._format)
            rows = self._folder.rows(part.number, self._format)
            rows = report["sentences"] if rows is None else rows
            if (report["records"], report["sentences"]) != (part.records, rows):
                raise JobError(
                    f"{path}: expected {part.records:,} records in {report['sentences']:,} rows, got "
                    f"{report['records']:,} in {rows:,}; remove the file and repeat the command"
                )
            facts = {name: report[name] for name in ("records", "sentences", "bytes", "sha256")}
            shards.append({"name": path.name, **facts})
        sessions: dict[str, float] = {}
        for report in done.values():
            sessions[report["session"]] = max(sessions.get(report["session"], 0.0), report["elapsed"])
        records = [{"records": n} for n in plan["records"]]
        inputs = plan["fingerprint"]["inputs"]
        job = asdict(replace(self._job, format=self._format))
        if self._job.name is not None:
            job["inputs"] = [self._job.name]
            inputs = [entry | {"name": self._job.name} for entry in inputs]
        manifest = build_manifest(
            arguments=job | {"model": self._settings.model} | self._settings.options,
            model_digest=str(self._settings.digest),
            inputs=[entry | n for entry, n in zip(inputs, records, strict=True)],
            counts=_sum(done),
            seconds=sum(sessions.values()),
            skipped=plan["skipped"],
        )
        manifest |= {
            "reading_through_seconds": plan["seconds"],
            "sessions": len(sessions),
            "engine": self._engine,
            "workers": None if crew is None else crew.size,
            "worker_seconds": round(sum(report["seconds"] for report in done.values()), 3),
            "shards": shards,
        }
        self._folder.finish(manifest)


class _Tally:
    """What this run has labelled, shards under way included."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._done = Counts()
        self._under_way: dict[int, dict[str, Any]] = {}

    def tick(self, number: int, counts: Counts) -> None:
        self._under_way[number] = counts.to_dict()
        self._tell()

    def add(self, number: int, report: Mapping[str, Any]) -> None:
        self._under_way.pop(number, None)
        self._done.add_counts(report)
        self._tell()

    def _tell(self) -> None:
        counts = Counts()
        for known in (self._done.to_dict(), *self._under_way.values()):
            counts.add_counts(known)
        self._reporter.labelled(counts)


def _sum(done: Mapping[int, Mapping[str, Any]]) -> Counts:
    counts = Counts()
    for report in done.values():
        counts.add_counts(report)
    return counts
