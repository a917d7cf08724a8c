"""The graph network of affinities: graphs against RDKit, messages against a sum by hand, blocks against pairs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from rdkit import Chem

from anfinsen.drug.graph import ATOM_KINDS, BOND_KINDS, ELEMENTS, MoleculeGraph, graphs_of
from anfinsen.hub.affinity import AffinityBundle, AffinityRecord
from anfinsen.models.affinity_network import AffinityNetwork, Block, Chains, MoleculeNetwork, Round
from anfinsen.training.affinity import AffinityConfig, Sides, fit
from anfinsen.training.affinity_bundle import part_means
from anfinsen.training.affinity_network import Course, NetworkConfig, Views, teach

FORMULAS = [
    "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "CCO", "C", "C[Hg]C",
    "O=C1CC2CCC1C2", "FC(F)(F)c1ccc(Br)cc1", "C[N+](C)(C)CC(=O)[O-]", "c1ccc2[nH]ccc2c1", "CS(=O)(=O)N", "C1CCCCCC1",
]  # fmt: skip
GRAPHS = graphs_of(FORMULAS)
DRAW = numpy.random.default_rng(3)


def table() -> tuple[Views, numpy.ndarray, numpy.ndarray]:
    """Twelve drugs against eight proteins, whose affinity is a product of what each is; most pairs are known."""
    fragments = DRAW.integers(0, 3, (12, 9)).astype(numpy.float32)
    means, stretches = DRAW.normal(size=(8, 5)), DRAW.normal(size=(8, 4, 5))
    views = Views(GRAPHS, fragments, means.astype(numpy.float32), stretches.astype(numpy.float32))
    pairs = numpy.argwhere(DRAW.random((12, 8)) < 0.9)
    value = 6 + numpy.linspace(-1, 1, 12)[pairs[:, 0]] * numpy.linspace(-2, 2, 8)[pairs[:, 1]]
    return views, pairs, value


VIEWS, PAIRS, VALUE = table()
HELD = numpy.arange(0, len(PAIRS), 5)
SHORT = NetworkConfig(steps=40, more=40, pairs=30, save_every=5, rarest=1, width=8, size=16, rounds=2)


def test_graphs_say_of_atoms_and_bonds_what_rdkit_says() -> None:
    for formula, graph in zip(FORMULAS, GRAPHS, strict=True):
        molecule = Chem.MolFromSmiles(formula)
        atoms, bonds = list(molecule.GetAtoms()), list(molecule.GetBonds())
        assert graph.atoms.shape == (len(atoms), len(ATOM_KINDS)) and graph.edges.shape == (2, 2 * len(bonds))
        assert (graph.atoms >= 0).all() and (graph.atoms < numpy.array(ATOM_KINDS)).all()
        assert (graph.bonds >= 0).all() and (graph.bonds < BOND_KINDS).all()
        names = [one.GetSymbol() if one.GetSymbol() in ELEMENTS else None for one in atoms]
        assert [(*ELEMENTS, None)[at] for at in graph.atoms[:, 0]] == names
        assert graph.atoms[:, 5].tolist() == [int(one.GetIsAromatic()) for one in atoms]
        assert (graph.atoms[:, 6] > 0).tolist() == [one.IsInRing() for one in atoms]
        assert (Chem.GetAdjacencyMatrix(molecule)[graph.edges[0], graph.edges[1]] == 1).all()


def test_a_round_of_messages_is_the_sum_over_bound_atoms_written_out_by_hand() -> None:
    graph, layer = GRAPHS[1], Round(6).eval()
    edges, bonds = torch.from_numpy(graph.edges), torch.from_numpy(graph.bonds)
    atoms = torch.randn(len(graph.atoms), 6)
    ready = layer.norm(atoms)
    heard = (1 + layer.hear.eps) * ready
    heard = torch.stack([
        heard[at] + sum(
            torch.relu(ready[edges[0, edge]] + layer.bond.weight[bonds[edge]])
            for edge in range(len(bonds)) if edges[1, edge] == at
        )
        for at in range(len(atoms))
    ])  # fmt: skip
    assert torch.allclose(layer(atoms, edges, bonds), atoms + layer.hear.nn(heard), atol=1e-5)


def test_the_order_of_atoms_and_bonds_changes_nothing() -> None:
    network, fragments = MoleculeNetwork(9, 16, width=8, rounds=3).eval(), torch.rand(1, 9)
    graph = GRAPHS[0]
    turn, mixed = DRAW.permutation(len(graph.atoms)), DRAW.permutation(len(graph.bonds))
    place = numpy.argsort(turn)
    other = MoleculeGraph(graph.atoms[turn], place[graph.edges[:, mixed]], graph.bonds[mixed])
    said = [network(Block.of([one], fragments)) for one in (graph, other)]
    assert torch.allclose(*said, atol=1e-5)
    assert not torch.allclose(said[0], network(Block.of([GRAPHS[1]], fragments)), atol=1e-2)


def test_a_block_is_scored_as_its_pairs_are_one_by_one() -> None:
    network = AffinityNetwork(MoleculeNetwork(9, 16, width=8, rounds=2), 5, 8, 4, size=16).eval()
    fragments, chains = torch.from_numpy(VIEWS.fragments), VIEWS.chains
    every = torch.cartesian_prod(torch.arange(12), torch.arange(8))
    whole = network(Block.of(GRAPHS, fragments), chains, every)
    single = [
        network(
            Block.of(GRAPHS[drug : drug + 1], fragments[drug : drug + 1]),
            Chains(*(part[protein : protein + 1] for part in (chains.numbers, chains.means, chains.stretches))),
            torch.zeros(1, 2, dtype=torch.int64),
        )
        for drug, protein in every.tolist()
    ]
    assert torch.allclose(whole, torch.cat(single), atol=1e-5) and whole.std() > 0
    looks = network.weights(network.molecules(Block.of(GRAPHS, fragments)), chains)
    assert torch.allclose(looks.sum(2), torch.ones(4, 8, 12))


def test_every_known_pair_is_taught_once_an_epoch_with_its_own_value() -> None:
    course = Course(VIEWS, PAIRS, torch.from_numpy(VALUE.astype(numpy.float32)), SHORT)
    rows = numpy.concatenate([rows for _, rows in course.blocks()])
    assert sorted(rows.tolist()) == list(range(len(PAIRS))) and course.count == 3
    for drugs, rows in course.blocks():
        assert set(PAIRS[rows, 0].tolist()) == set(drugs.tolist())


def test_a_training_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    told: list[str] = []
    unbroken = teach(VIEWS, PAIRS, VALUE, HELD, SHORT)

    def stop(sentence: str) -> None:
        told.append(sentence)
        if "epoch 10 of" in sentence:
            raise KeyboardInterrupt

    for _ in range(3):  # in the first training, in the second, and not again
        with suppress(KeyboardInterrupt):
            resumed = teach(VIEWS, PAIRS, VALUE, HELD, SHORT, folder=tmp_path, tell=stop)
    assert all((one == other).all() for one, other in zip(unbroken, resumed, strict=True))
    assert sum("epoch 10 of" in sentence for sentence in told) == 2
    assert any(sentence.endswith("goes on after epoch 10.") for sentence in told)
    other = Course(VIEWS, PAIRS, torch.from_numpy(VALUE.astype(numpy.float32)), SHORT.replaced(seed=2))
    assert not other.resume(tmp_path / "part"), "what another training has learnt is not taken over"


def test_the_network_learns_a_table_and_fills_its_gaps() -> None:
    heard, said = teach(VIEWS, PAIRS, VALUE, HELD, SHORT.replaced(steps=120, average=0.9, learning_rate=0.01))
    assert ((heard - VALUE[HELD]) ** 2).mean() < 0.5 * VALUE.var(), "pairs that it was not shown"
    truth = 6 + numpy.multiply.outer(numpy.linspace(-1, 1, 12), numpy.linspace(-2, 2, 8))
    known = numpy.zeros(truth.shape, bool)
    known[tuple(PAIRS.T)] = True
    for rows in (known, ~known):
        assert ((said - truth)[rows] ** 2).mean() < 0.5 * truth[rows].var()


def test_the_judge_of_known_pairs_hears_the_network_and_no_other_does(tmp_path: Path) -> None:
    groups = numpy.arange(12), numpy.arange(8)
    profiles = numpy.eye(8, 10, dtype=numpy.float32)
    sides = Sides(
        DRAW.integers(0, 2, (12, 64)).astype(numpy.float32), profiles, VIEWS.means, *groups, tuple(GRAPHS),
        VIEWS.stretches,
    )  # fmt: skip
    network = SHORT.replaced(steps=120, average=0.9, learning_rate=0.01)
    config = AffinityConfig(parts=3, trees=2, doubts=3, drug_axes=2, protein_axes=2, network=network)
    model = fit(sides, *PAIRS.T, VALUE, config=config)
    assert model.judges["both known"].network > 0
    assert not any(judge.network for regime, judge in model.judges.items() if regime != "both known")
    blank = numpy.zeros(10, numpy.float32)
    record = AffinityRecord(
        name="tiny", table="t", unit="pKd", licence="none", backbone_sha256="", drugs={}, proteins={}, trained_on=1,
        data_sha256="", settings=config.numbers,
    )  # fmt: skip
    AffinityBundle(record, model, blank, blank, blank).save(tmp_path)
    opened = AffinityBundle.load(tmp_path)
    assert opened.record.settings["network.steps"] == 120
    own = numpy.arange(12), numpy.arange(8)
    nobody = numpy.full(12, -1), numpy.full(8, -1)
    for owns, hears in ((own, True), (nobody, False)):
        sees = model.likeness(sides.fragments, profiles, sides.states, *owns)
        said = [one.predict(*sees, PAIRS).value for one in (model, opened.model, replace(model, network=None))]
        assert said[0] == pytest.approx(said[1], abs=0.1)
        assert (numpy.abs(said[0] - said[2]).max() > 1e-3) == hears


def test_the_parts_of_a_chain_are_equal_and_those_of_a_short_one_overlap() -> None:
    states = numpy.arange(12, dtype=numpy.float32).reshape(6, 2)
    assert (part_means(states, 3) == states.reshape(3, 2, 2).mean(1)).all()
    assert part_means(states[:2], 4).tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert part_means(states, 0).shape == (0, 2)
