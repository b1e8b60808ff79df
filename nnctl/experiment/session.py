"""One sitting at a training: a run directory that is always true, from the first file to the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from nnctl.core.compiled import compiler
from nnctl.core.errors import DataError, Diverged, Interrupted, NnctlError, UsageError
from nnctl.data.dataset import Prepared
from nnctl.data.image_files import ScaledImages
from nnctl.experiment import comparability
from nnctl.experiment.assembly import Experiment, compile_for, set_blas_threads
from nnctl.experiment.forecasting import beside_naive, refuse_to_look_ahead
from nnctl.experiment.saving import restore_training, save_best, save_training
from nnctl.runs.environment import environment
from nnctl.runs.store import Run
from nnctl.spec.load import LoadedSpec, load_spec, resolved_data, resolved_text
from nnctl.train.flow import Probe, Sample
from nnctl.train.health import Health
from nnctl.train.loop import Epoch, Pause, Training, fit
from nnctl.train.step import NotFinite, first_not_finite

__all__ = ["CHECKPOINT_SECONDS", "Session", "data_hash", "train_spec"]

CHECKPOINT_SECONDS = 10.0
"""The most that a killed run loses."""


class Session:
    """A training with its run directory.

    Parameters
    ----------
    experiment : Experiment
    threads, replicas : int, optional
        Of BLAS, and of the network; by default those that the experiment's rules give on this machine.

    Attributes
    ----------
    run : Run
        Its directory, held from the moment it is made until the training ends.
    warnings : list of str
        What a person should know before the training goes on.
    """

    run: Run

    def __init__(self, experiment: Experiment, threads: int | None = None, replicas: int | None = None) -> None:
        self.experiment = experiment
        self.threads = threads or experiment.threads
        set_blas_threads(self.threads)
        self.train = experiment.examples(experiment.data.train)
        validation = experiment.data.validation
        self.validation = None if validation is None else experiment.examples(validation)
        self.batches = experiment.batches(self.train)
        self.plan = experiment.plan(self.batches)
        self.learner = experiment.learner(replicas)
        compile_for(self.learner.network, self.plan.steps)
        refuse_to_look_ahead(experiment, self.learner.network)
        self.progress = experiment.progress(self.batches)
        self.health = Health.of(self.learner)
        self.training = Training(
            self.learner,
            self.batches,
            experiment.judge,
            self.train,
            self.validation,
            self.plan,
            self.progress,
            Probe(self.learner, self.train),
        )
        self.summary: dict[str, Any] = {}
        self.warnings: list[str] = []
        self._saved_at = monotonic()
        self._held = ExitStack()

    @classmethod
    def start(
        cls, experiment: Experiment, root: Path, threads: int | None = None, replicas: int | None = None
    ) -> Session:
        """Make a run directory for an experiment and write down what it is."""
        # Before the directory is made, so that what cannot be trained leaves none behind.
        session = cls(experiment, threads, replicas)
        with ExitStack() as held:
            run = session.run = Run.create(root, experiment.spec.name)
            held.enter_context(run.lock())
            resolved = experiment.resolved()
            run.write_text("spec.yaml", experiment.loaded.text)
            run.write_text("resolved.yaml", resolved_text(resolved))
            run.write_text("preprocessing.json", experiment.data.preprocessing.to_json())
            run.begin(experiment.spec.name, environment=session._environment(), spec=resolved_data(resolved))
            session._held = held.pop_all()
        return session

    @classmethod
    def resume(cls, run: Run, *, strict: bool = False) -> Session:
        """Take up a run that was interrupted or killed, at its last checkpoint or, without one, at its start.

        Parameters
        ----------
        run : Run
        strict : bool
            Refuse where the bits may come out as others than those of the run that was never stopped; else such
            differences are in `warnings`, and in run.json.

        Raises
        ------
        UsageError
            Where the run has ended in another way, or another process has it, or, if strict, where something differs.
        DataError
            Where its data are no longer those it began with.
        """
        with ExitStack() as held:
            held.enter_context(run.lock())
            _refuse_ended(run)
            began = run.record.get("environment", {})
            # The bits depend on threads and replicas, so the run keeps its own numbers.
            experiment = Experiment(load_spec(run.path / "resolved.yaml"))
            session = cls(experiment, began.get("blas_threads"), began.get("replicas"))
            session.run = run
            if began.get("data_hash") not in (None, data_hash(experiment.data)):
                raise DataError(f"{run.path}: the data have changed since the run began. Restore them, or train anew.")
            session._take_up(strict=strict)
            session._held = held.pop_all()
        return session

    # ------------------------------------------------------------------ training

    def epochs(self, signal: Callable[[], int | None] = lambda: None) -> Iterator[Epoch]:
        """Train to the end and yield every epoch; `summary` is filled when the iteration ends.

        Parameters
        ----------
        signal : callable
            Asked before every step for the number of a signal that came in. If one did, the state is saved.

        Raises
        ------
        Interrupted
            After a signal; the run can be resumed.
        Diverged
            If a value stops being finite; says in which layer and at which step.
        DiskError
            If a file cannot be written.
        """
        with self._held:
            try:
                yield from self._fit(signal)
                self._finish()
            except (Interrupted, Diverged):
                raise  # their status is written already
            except GeneratorExit:  # the caller has seen enough; between two epochs everything can be saved
                self._save()
                self.run.set_status("interrupted")
                raise
            except KeyboardInterrupt:  # in the middle of a step: what was saved last still holds
                self.run.set_status("interrupted")
                raise
            except BaseException as error:
                self._note_failure(error)
                raise
            finally:
                self.learner.team.close()

    def _take_up(self, *, strict: bool) -> None:
        run = self.run
        differing = comparability.differences(run.record, self._environment(), self.experiment.resolved())
        if differing and strict:
            raise UsageError(
                f"{run.path}: what its bits depend on differs: {'; '.join(differing)}. Go on where it began, or leave "
                f"--strict out."
            )
        self.warnings += [f"the bits may differ from those of the run never stopped: {each}" for each in differing]
        run.clean()
        if run.has_tensors("last"):
            said = restore_training(run, self.learner, self.batches, self.progress)
            self.warnings += [said] if said else []
        run.records.truncate_after(self.progress.epoch)
        if [record["epoch"] for record in run.records.read()] != [*range(1, self.progress.epoch + 1)]:
            self.warnings.append(f"{run.records.path}: does not hold each of the {self.progress.epoch} epochs once.")
        run.samples.truncate_after(self.learner.step, by="step")
        seen = [(self._judge_sample, record) for record in run.samples.read()]
        seen += [(self.health.judge_epoch, record) for record in run.records.read()]
        for judge, record in sorted(seen, key=lambda each: each[1].get("step", 0)):  # an epoch after its last sample
            judge(record)
        sitting = {"at_step": self.learner.step, "differing": differing}
        run.set_status("running", resumed=[*run.record.get("resumed", []), sitting])

    def _judge_sample(self, record: Mapping[str, Any]) -> None:
        self.health.judge(Sample.from_record(record))

    def _fit(self, signal: Callable[[], int | None]) -> Iterator[Epoch]:
        def pause_due() -> bool:
            return signal() is not None or monotonic() - self._saved_at > CHECKPOINT_SECONDS

        try:
            for event in fit(self.training, pause_due):
                if isinstance(event, Pause):
                    self._save()
                    self._stop_if_asked(signal())
                elif isinstance(event, Sample):
                    self.run.samples.append(event.record())
                    self.health.judge(event)
                else:
                    record = event.record()
                    self.run.append(record)
                    self.health.judge_epoch(record)
                    yield event
        except NotFinite as error:
            raise self._diverged(error) from None

    def _stop_if_asked(self, signal: int | None) -> None:
        if signal is None:
            return
        self.run.set_status("interrupted")
        done = f"epoch {self.progress.epoch + 1}, step {self.learner.step:,} of {self.plan.steps:,}"
        raise Interrupted(
            f"interrupted in {done}; everything is saved. Go on with: nnctl train --resume {self.run.path}", signal
        )

    def _diverged(self, error: NotFinite) -> Diverged:
        where = first_not_finite(self.learner, error.batch)
        message = (
            f"diverged at step {error.step:,} (epoch {self.progress.epoch + 1}): {error}"
            f"{f'; the first value that is not is in {where}' if where else ''}. "
            f"The learning rate was {self.progress.lr:g}: try a tenth of it, clip: {{norm: 1}}, or scaled inputs. "
            f"The run up to there is in {self.run.path}."
        )
        if all(np.isfinite(tensor).all() for tensor in self.learner.network.tensors().values()):
            self._save()
        elif self.progress.best is not None:
            save_best(self.run, self.learner.network, self.progress.best)
        self.run.set_status("diverged", error=message)
        return Diverged(message)

    def _note_failure(self, error: BaseException) -> None:
        said = str(error) if isinstance(error, NnctlError) else f"{type(error).__name__}: {error}"
        with suppress(NnctlError):  # a disk that made it fail cannot take the note either; the error is on its way
            self.run.set_status("failed", error=said)

    def _save(self) -> None:
        self.run.records.sync()  # before the checkpoint, which counts on them
        self.run.samples.sync()
        save_training(self.run, self.learner, self.batches, self.progress)
        if self.progress.best is not None:
            save_best(self.run, self.learner.network, self.progress.best)
        self._saved_at = monotonic()

    # ------------------------------------------------------------------ the end

    def _finish(self) -> None:
        self._save()
        network, best = self.learner.network, self.progress.best
        restored = self.experiment.restores_best and best is not None
        if restored and best is not None:
            best.restore(network)
        judge, data = self.experiment.judge, self.experiment.data
        test = None if data.test is None else self.experiment.examples(data.test)
        train = self.experiment.examples(data.train.of_source) if data.train.made else self.train
        parts = {"train": train, "validation": self.validation, "test": test}
        self.summary = {
            "reason": self.progress.reason,
            "epochs": self.progress.epoch,
            "steps": self.learner.step,
            "monitor": self.plan.monitor,
            "best_epoch": None if best is None else best.epoch,
            "best_value": self.progress.patience.best,
            "weights": "best" if restored else "last",
            "metrics": {name: judge.network(network, part) for name, part in parts.items() if part is not None},
            "forecast": beside_naive(self.experiment, network),
            "parameters": self.experiment.layout.size,
            "seconds": self.progress.seconds,
            "findings": [finding.plain() for finding in self.health.findings],
        }
        self.run.set_status("done", summary=self.summary)

    def _environment(self) -> dict[str, Any]:
        experiment = self.experiment
        return {
            **environment(),
            "blas_threads": self.threads,
            "replicas": self.learner.team.size,
            "compiler": compiler(),
            "batch_size": experiment.batch_rows,
            "seed": experiment.spec.seed,
            "spec_hash": blake2b(resolved_text(experiment.spec).encode(), digest_size=16).hexdigest(),
            "data_hash": data_hash(experiment.data),
        }


def _refuse_ended(run: Run) -> None:
    status = run.status
    if status in {"done", "diverged"}:
        advice = "It would diverge again: change the spec and train anew." if status == "diverged" else ""
        raise UsageError(f"{run.path} is {status}; there is nothing to resume. {advice}".rstrip())


def train_spec(spec: str | Path | LoadedSpec, runs_dir: str | Path = "runs") -> Session:
    """Train a spec to its end and return the session: its `summary`, its `run`, and its network in `learner`.

    Parameters
    ----------
    spec : str, Path or LoadedSpec
        The YAML file; or what `load_spec` returned, where something in it is to be changed.
    runs_dir : str or Path
        The folder that the run directory is made in.

    Raises
    ------
    NnctlError
        The one for what went wrong; see `nnctl.core.errors`.
    """
    loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec)
    session = Session.start(Experiment(loaded), Path(runs_dir))
    for _ in session.epochs():
        pass
    return session


def data_hash(data: Prepared) -> str:
    """Return a digest of all that is trained and judged on."""
    digest = blake2b(digest_size=16)
    for part in (data.train, data.validation, data.test):
        for array in () if part is None else (part.x, part.y, part.weight):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(array.digest if isinstance(array, ScaledImages) else np.ascontiguousarray(array).data)
    return digest.hexdigest()
