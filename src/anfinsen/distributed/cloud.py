"""What a job would cost on rented machines, how long it would take, and the commands that would run it; runs nothing.

    residues x operations a residue / what a machine sustains  ->  hours of one machine  ->  of many, dollars, commands

The arithmetic needs no account and no network. Prices and rates stand in one dated file, `prices.toml`, of which a user
gives a copy of his own; a rate that was measured beats an estimate. A spot machine that is taken back loses what it did
since its last save, which `LOST` allows for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anfinsen.config import Config, read_toml
from anfinsen.errors import UnknownNameError, UsageError

PRICES = Path(__file__).with_name("prices.toml")
"""The table that comes with the package."""
RECOLLECTION = "RECOLLECTION"
"""The source of a price that somebody remembered and did not look up."""
START = 240.0
"""Seconds until a machine has started, fetched the container and opened the model."""
LOST = 0.05
"""Share of the work that is done twice because spot machines are taken back."""
FORWARD, TRAINING = 2.0, 6.0
"""Operations a weight and residue: a product and a sum forward, twice as many back (Kaplan et al. 2020)."""
Job = Literal["embed", "predict", "train"]


class Machine(Config):
    """One kind of machine."""

    hour: float
    """Dollars an hour, on demand."""
    spot: float
    """Share of that for a spot machine."""
    cores: int
    """Virtual cores."""
    memory_gb: float
    """Memory."""
    accelerators: int
    """Accelerators; 0 computes on the cores."""
    gflops: float
    """Billions of operations a second that the whole machine sustains."""
    as_of: str
    """The month of the price."""
    source: str = RECOLLECTION
    """Where the price was looked up; that it was not is said wherever it is used."""


class Prices(Config):
    """A table of prices."""

    region: str
    """Where they hold."""
    storage: float
    """Dollars a GB and month."""
    requests: float
    """Dollars a file written."""
    machines: dict[str, Machine]
    """By name."""

    def machine(self, name: str) -> Machine:
        """The machine of that name."""
        if name not in self.machines:
            raise UnknownNameError("machine in the table of prices", name, self.machines)
        return self.machines[name]


@dataclass(frozen=True)
class Work:
    """What there is to do."""

    job: Job
    residues: float
    """Residues to read; of a training, in all steps together."""
    weights: float
    """Weights of the model."""
    source: str
    """Address of the table."""
    out: str
    """Address for what comes of it."""

    @property
    def operations(self) -> float:
        """Floating-point operations, without attention's own, which stays below a tenth up to 1,000 residues."""
        return self.residues * self.weights * (TRAINING if self.job == "train" else FORWARD)


@dataclass(frozen=True)
class Plan:
    """What it takes."""

    hours: float
    """From the first command to the last answer."""
    dollars: float
    """For all machines together, storage for a month included."""
    sentences: tuple[str, ...]
    """The same in words, with what it rests on."""
    commands: tuple[str, ...]
    """To be copied, in order."""


def read_prices(path: Path | None = None) -> Prices:
    """The table of prices, the package's own if none is given."""
    return Prices.build(read_toml(path or PRICES), source=str(path or "prices.toml"))


def plan(work: Work, machine: str, count: int, prices: Prices, *, spot: bool = True, rate: float | None = None) -> Plan:
    """Cost, time and commands for `count` machines; `rate` are residues a second that one machine was measured at."""
    if work.job == "train" and count > 1 and not prices.machine(machine).accelerators:
        raise UsageError(
            "A training on several machines without accelerators waits for its own exchanges most of the time.",
            remedy="Take one larger machine, or machines with accelerators.",
        )
    kind = prices.machine(machine)
    each = rate or kind.gflops * 1e9 / (work.operations / work.residues)
    again = 1 + LOST if spot else 1.0
    hours = (work.residues / each / count * again + START) / 3600
    paid = math.ceil(hours * 3600) / 3600 * count * kind.hour * (kind.spot if spot else 1)
    gigabytes = work.residues / 330 * 192 * 2 / 1e9 if work.job == "embed" else 1.0
    dollars = paid + gigabytes * prices.storage + count * prices.requests
    basis = "as measured" if rate else f"estimated from {kind.gflops:,.0f} billion operations a second, not measured"
    sentences = (
        f"{work.residues:,.0f} residues, {work.weights:,.0f} weights: {work.operations:.2g} operations.",
        f"One {machine} reads about {each:,.0f} residues a second ({basis}).",
        f"{count} of them, {'spot' if spot else 'on demand'}: about {duration(hours)} and {dollars:,.2f} dollars in "
        f"{prices.region}, at {kind.hour * (kind.spot if spot else 1):.2f} dollars an hour each ({_basis(kind)}"
        f"{'; the share for spot is a guess' if spot else ''}).",
    )
    return Plan(hours, dollars, sentences, _commands(work, kind, machine, count, spot))


def _basis(kind: Machine) -> str:
    if kind.source == RECOLLECTION:
        return f"remembered from the list of {kind.as_of}, not looked up"
    return f"list price of {kind.as_of}, from {kind.source}"


def duration(hours: float) -> str:
    """Hours in words.

    >>> duration(0.01), duration(0.5), duration(30), duration(200)
    ('36 seconds', '30 minutes', '30.0 hours', '8.3 days')
    """
    if hours < 1 / 30:
        return f"{math.ceil(hours * 3600)} seconds"
    if hours < 1.5:
        return f"{math.ceil(hours * 60)} minutes"
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:.1f} days"


def _commands(work: Work, kind: Machine, machine: str, count: int, spot: bool) -> tuple[str, ...]:
    out = work.out.rstrip("/")
    if work.job == "train":
        joined = f"torchrun --nproc-per-node {max(1, kind.accelerators)}"
        if count > 1:
            joined += f" --nnodes {count} --rdzv-backend c10d --rdzv-endpoint HEAD:29500"
        name = work.source or "masked"
        return (
            f"aws ec2 run-instances --image-id AMI --count {count} --instance-type {machine}"
            + (" --instance-market-options MarketType=spot" if spot else "")
            + " --iam-instance-profile Name=anfinsen",
            f"{joined} --no-python anfinsen train {name} --recipe RECIPE.toml --strategy fsdp --out {out}",
        )
    array = f" --array-properties size={count}" if count > 1 else ""
    return (
        "aws batch register-job-definition --cli-input-json file://recipes/aws/batch-job.json",
        f"aws batch submit-job --job-name anfinsen-{work.job} --job-queue anfinsen --job-definition anfinsen{array}"
        f" --parameters verb={work.job},source={work.source},out={out},parts={count}",
        f"aws s3 ls {out}/",
    )
