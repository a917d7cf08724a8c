"""A graph network says the same however the protein is turned, moved, batched or its residues are listed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from anfinsen.data.example import Example
from anfinsen.models.graph import GraphHead, GraphNetwork, Multiscale, window_mean
from anfinsen.reading.readers import read_examples
from anfinsen.structure.backbone import Backbone, from_alphas
from anfinsen.structure.graph import FEATURES, KINDS, REACH, Graph, build_graph, from_contacts, join
from anfinsen.structure.surroundings import NODES, part, surroundings

DIM = 12


def helix(length: int, seed: int = 0) -> Backbone:
    """A chain that winds and drifts, with N, CA, C, O and CB."""
    draw = numpy.random.default_rng(seed)
    turn = numpy.arange(length) * 1.745
    alphas = numpy.stack([2.3 * numpy.cos(turn), 2.3 * numpy.sin(turn), 1.5 * numpy.arange(length)], axis=-1)
    alphas[length // 2 :] = alphas[length // 2 :] * [1, 1, -1] + [9.0, 0.0, 1.5 * length]  # it runs back beside itself
    alphas += draw.normal(size=alphas.shape) * 0.1
    points = numpy.stack([alphas + offset for offset in draw.normal(size=(5, 3)) * 0.9], axis=1)
    points[:, 1] = alphas
    return Backbone(points.astype(numpy.float32), numpy.zeros(length - 1, dtype=bool))


def turned(backbone: Backbone, turn: Rotation, shift: float) -> Backbone:
    points = turn.apply(backbone.points.reshape(-1, 3)).reshape(backbone.points.shape) + shift
    return Backbone(points.astype(numpy.float32), backbone.breaks)


@dataclass
class Tensors:
    edges: Tensor
    features: Tensor
    positions: Tensor
    directions: Tensor
    nodes: Tensor


def kinds(length: int, seed: int = 0) -> numpy.ndarray:
    draw = numpy.random.default_rng(seed)
    return numpy.eye(20, dtype=numpy.float32)[draw.integers(0, 20, size=length)]


def tensors(graph: Graph, *backbones: Backbone | None) -> Tensors:
    """The graph with what surrounds the residues of each backbone."""
    parts = [surroundings(kinds(length), one) for length, one in zip(graph.lengths, backbones, strict=True)]
    given = (graph.edges, graph.features, graph.positions, graph.directions, numpy.concatenate(parts))
    return Tensors(*map(torch.from_numpy, given))


@pytest.fixture
def network() -> GraphNetwork:
    torch.manual_seed(1)
    return GraphNetwork(DIM, 4, FEATURES, width=16, vectors=4, layers=2).eval()


def states(length: int, seed: int = 0) -> Tensor:
    return torch.randn(length, DIM, generator=torch.Generator().manual_seed(seed))


def test_scalars_stay_and_vectors_turn_with_the_protein(network: GraphNetwork) -> None:
    one = helix(30)
    turn = Rotation.random(rng=3)
    other = turned(one, turn, 40.0)
    here = network.describe(states(30), tensors(build_graph(one), one), [30])
    there = network.describe(states(30), tensors(build_graph(other), other), [30])
    assert torch.allclose(here[0], there[0], atol=1e-4)
    matrix = torch.from_numpy(turn.as_matrix()).float()
    assert torch.allclose(here[1] @ matrix.T, there[1], atol=1e-4)
    assert here[1].abs().max() > 0.05


def test_messages_are_those_of_pytorch_geometric(network: GraphNetwork) -> None:
    """It passes them where gradients are asked; an answer sums them itself, and some residue hears from nobody."""
    one = helix(30)
    net = tensors(build_graph(one), one)
    heard = (net.edges != 4).all(0)
    net.edges, net.features = net.edges[:, heard], net.features[heard]
    learnt = network(states(30), net, [30])
    with torch.inference_mode():
        answered = network(states(30), net, [30])
    assert learnt.requires_grad and not answered.requires_grad
    assert torch.allclose(learnt, answered, atol=1e-6)


def test_the_answer_depends_on_the_fold_and_not_on_the_sequence_alone(network: GraphNetwork) -> None:
    straight = numpy.zeros((30, 3), dtype=numpy.float32)
    straight[:, 0] = 3.8 * numpy.arange(30)
    one, other = helix(30), from_alphas(straight)
    folded = network(states(30), tensors(build_graph(one), one), [30])
    stretched = network(states(30), tensors(build_graph(other), other), [30])
    assert (folded - stretched).abs().max() > 1e-2


def test_a_batch_says_what_each_says_alone(network: GraphNetwork) -> None:
    lengths = [12, 30, 25]
    chains = [helix(length, length) for length in lengths]
    graphs = [build_graph(one) for one in chains]
    parts = [states(length, length) for length in lengths]
    together = network(torch.cat(parts), tensors(join(graphs), *chains), lengths)
    alone = [
        network(part, tensors(graph, one), [len(part)]) for part, graph, one in zip(parts, graphs, chains, strict=True)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_the_order_of_nodes_and_edges_means_nothing_to_the_messages(network: GraphNetwork) -> None:
    graph, given = tensors(build_graph(helix(30)), helix(30)), states(30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    place = order.argsort()
    shuffle = torch.randperm(graph.edges.shape[1], generator=torch.Generator().manual_seed(3))
    mixed = Tensors(
        place[graph.edges][:, shuffle],
        graph.features[shuffle],
        graph.positions[order],
        graph.directions[order],
        graph.nodes[order],
    )
    network.enter = Multiscale(DIM, 16, scales=1).eval()  # the middle scale is about neighbours in the list
    assert torch.allclose(network(given, graph, [30])[order], network(given[order], mixed, [30]), atol=1e-5)


def test_every_part_of_the_network_learns() -> None:
    network = GraphNetwork(DIM, 4, FEATURES, width=16, vectors=4, layers=2, dropout=0.0)
    one = helix(30)
    network(states(30), tensors(build_graph(one), one), [30]).square().sum().backward()
    silent = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


def test_no_sequence_edge_crosses_a_break_and_space_still_joins_the_pieces() -> None:
    strand = numpy.stack([3.8 * numpy.arange(15), numpy.zeros(15), numpy.zeros(15)], axis=-1)
    backbone = from_alphas(numpy.concatenate([strand, strand + numpy.array([0.0, 5.5, 0.0])]))
    assert backbone.breaks.nonzero()[0].tolist() == [14]
    graph = build_graph(backbone)
    along = graph.edges[:, graph.kind("sequence")]
    assert ((along[0] <= 14) == (along[1] <= 14)).all()
    assert (numpy.abs(along[0] - along[1]) <= REACH).all()
    near = graph.edges[:, graph.kind("radius")]
    assert ((near[0] <= 14) != (near[1] <= 14)).any()


def test_edges_in_space_are_the_nearest_and_those_within_the_radius() -> None:
    backbone = helix(40)
    graph = build_graph(backbone, neighbours=5, radius=8.0)
    apart = numpy.linalg.norm(backbone.alphas[:, None] - backbone.alphas[None], axis=-1)
    first, second = graph.edges[:, graph.kind("radius")]
    expected = (apart <= 8.0) & ~numpy.eye(40, dtype=bool)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(
        zip(*map(list, expected.nonzero()), strict=True)
    )
    nearest = {(int(a), int(b)) for a, b in graph.edges[:, graph.kind("nearest")].T}
    for residue in range(40):
        for other in numpy.argsort(apart[residue])[1:6]:
            assert (int(other), residue) in nearest and (residue, int(other)) in nearest
    assert not (graph.edges[0] == graph.edges[1]).any()
    assert len(numpy.unique(graph.edges, axis=1).T) == graph.edges.shape[1]


def test_numbers_of_edges_survive_rotation_and_reflection() -> None:
    backbone = helix(25)
    here = build_graph(backbone)
    for other in (turned(backbone, Rotation.random(rng=1), -3.0), Backbone(-backbone.points, backbone.breaks)):
        there = build_graph(other)
        assert (there.edges == here.edges).all()
        assert there.features == pytest.approx(here.features, abs=1e-3)


def test_what_surrounds_a_residue_survives_rotation_and_of_bare_traces_reflection() -> None:
    full = helix(40)
    trace = from_alphas(full.alphas)
    for one, other in ((full, turned(full, Rotation.random(rng=1), -3.0)), (trace, from_alphas(-trace.alphas))):
        here, there = surroundings(kinds(40), one), surroundings(kinds(40), other)
        assert there == pytest.approx(here, abs=2e-3)
        assert numpy.abs(part(here, "bulge", "patch")).max() > 0.5
    assert numpy.abs(surroundings(kinds(40), full) - surroundings(kinds(40), trace)).max() > 0.1


def test_where_no_place_is_known_nothing_is_said_about_places() -> None:
    found = next(iter(read_examples(Path(__file__).parent.parent / "bad" / "no_alpha.pdb")))
    assert isinstance(found, Example) and found.protein.backbone is not None
    seen = surroundings(kinds(len(found.protein)), found.protein.backbone)
    places = part(seen, "known", "crowd", "exposure", "bulge", "patch")
    assert not places[4].any() and places[:4].any(1).all() and numpy.isfinite(seen).all()
    blind = surroundings(kinds(12), None)
    assert not part(blind, "known", "trace", "crowd", "exposure", "bulge", "patch").any()
    assert blind.shape == (12, NODES) and part(blind, "kind", "chain").any(1).all()


def test_without_a_structure_the_graph_stands_on_predicted_contacts(network: GraphNetwork) -> None:
    likely = numpy.zeros((30, 30))
    likely[4, 20] = likely[20, 4] = 0.9
    likely[5, 6] = 0.9
    likely[8, 25] = 0.1
    graph = from_contacts(likely)
    assert graph.grounds == ("contacts",) and build_graph(helix(30)).grounds == ("structure",)
    pairs = {(int(a), int(b)) for a, b in graph.edges[:, graph.kind("contact")].T}
    assert pairs == {(4, 20), (20, 4)}
    assert not graph.kind("radius").any()
    assert network(states(30), tensors(graph, None), [30]).isfinite().all()


def test_a_residue_without_a_place_keeps_its_neighbours_in_the_chain() -> None:
    found = next(iter(read_examples(Path(__file__).parent.parent / "bad" / "no_alpha.pdb")))
    assert isinstance(found, Example) and found.protein.backbone is not None
    graph = build_graph(found.protein.backbone)
    touching = (graph.edges == 4).any(0)
    assert graph.kind("sequence")[touching].all() and touching.any()
    assert not graph.kind("radius")[touching].any()
    assert numpy.isfinite(graph.features).all()
    assert len(KINDS) + 16 + 8 + 2 + 15 == graph.features.shape[1] == FEATURES


def test_the_middle_scale_is_the_mean_of_the_surroundings() -> None:
    given = states(9)
    expected = torch.stack([given[max(0, at - 2) : at + 3].mean(0) for at in range(9)])
    assert torch.allclose(window_mean(given, 5), expected, atol=1e-6)


def test_states_are_hidden_from_some_proteins_while_the_network_learns_and_from_none_later() -> None:
    torch.manual_seed(1)
    entry, lengths = Multiscale(DIM, 16, scales=1), [3] * 200
    told = entry(states(600), lengths).abs().sum(1).view(200, 3)
    silent = (told == 0).all(1)
    assert 30 < int(silent.sum()) < 90 and (told[~silent] > 0).all()
    assert (entry.eval()(states(600), lengths).abs().sum(1) > 0).all()


def test_several_networks_answer_by_their_mean_and_each_step_teaches_one_of_them() -> None:
    torch.manual_seed(1)
    head, one = GraphHead(DIM, 2, members=3), helix(20)
    graph, given, nothing = tensors(build_graph(one), one), states(20), torch.zeros(1, 0)
    members = [head.fold, *head.others]
    head.eval()
    alone = torch.stack([member(given, graph, [20]) for member in members])
    assert torch.allclose(head(given, [20], nothing, graph), alone.mean(0), atol=1e-6)
    assert (alone.std(0) > 1e-3).any()
    head.train()
    taught = []
    for _ in range(30):
        head.zero_grad()
        head(given, [20], nothing, graph).square().sum().backward()
        moved = [any(weight.grad is not None for weight in member.parameters()) for member in members]
        assert sum(moved) == 1
        taught.append(moved.index(True))
    assert set(taught) == {0, 1, 2}
