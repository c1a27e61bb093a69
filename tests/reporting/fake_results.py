"""Made-up results of every kind, small: grids, rows of speed, gates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reporting.fake_grid import ENVIRONMENT, HOST, HOSTILE, FakeGrid, Json, write


def main_grid() -> FakeGrid:
    """Two tasks, three seeds, one method ahead, one level, one behind, a control, and two kinds of holes."""
    answers = {"hificl": ["red", "red", "blue", HOSTILE, "red"], "lora": ["red", "blue", "red", "green", "red"]}
    grid = FakeGrid("main", ("task", "variant", "control"))
    for task, base in (("easy_vqa", 90.0), ("flags", 80.0)):
        grid.add(task, "hificl", [base, base + 1, base + 2], answers=answers["hificl"])
        grid.add(task, "lora", [base + 4, base + 5, base + 6], difference=4.0, answers=answers["lora"])
        grid.add(task, "mimic", [base + 1, base + 1, base + 1], difference=0.3, p_holm=0.9)
        grid.add(task, "zero_shot", [4.0, 4.0, 4.0], difference=-87.0)
        grid.add(
            task, "hificl", [21.0, 22.0, 23.0], control="random_lm", difference=-69.0, point={"control": "random_lm"}
        )
    grid.hole("failed", "easy_vqa", "mtv", error=f"RunError: {HOSTILE}").hole("missing", "flags", "live")
    return grid


def rank_grid() -> FakeGrid:
    grid = FakeGrid("rank", ("task", "r"))
    for rank, score in ((1, 70.0), (2, 80.0), (4, 88.0), (8, 90.0), (16, 89.0)):
        grid.add("easy_vqa", "hificl", [score - 1, score, score + 1], point={"r": rank}, difference=score - 90)
    return grid


def data_efficiency_grid() -> FakeGrid:
    grid = FakeGrid("data_efficiency", ("task", "variant", "train_size"))
    for size, own, other in ((50, 60.0, 70.0), (100, 75.0, 74.0), (300, 90.0, 80.0)):
        for variant, score in (("hificl", own), ("lora", other)):
            grid.add(
                "easy_vqa",
                variant,
                [score - 1, score + 1],
                point={"train_size": size},
                train_size=size,
                difference=score - own,
            )
    grid.add("easy_vqa", "icl", [72.0, 72.0], shots=8, difference=-18.0, point={"train_size": None})
    grid.hole("missing", "easy_vqa", "lora", train_size=1000)
    return grid


def demonstrations_grid() -> FakeGrid:
    """Two questions: pairs that are not trained by their number, and trained ones by the number of examples."""
    axes = ("task", "variant", "train_size", "num_virtual_tokens", "steps", "factorize_key", "factorize_value")
    grid = FakeGrid("demonstrations", axes)
    own = {"steps": 0, "factorize_key": False, "factorize_value": False, "train_size": 300}
    for pairs, score in ((1, 85.0), (4, 86.0), (8, 87.0)):
        grid.add("easy_vqa", "hificl", [score, score + 1], point={**own, "num_virtual_tokens": pairs})
    grid.add("easy_vqa", "icl", [84.0, 85.0], shots=8, point={"train_size": 300})
    for size, score in ((50, 90.0), (300, 95.0)):
        for variant, more in (("hificl", 0.0), ("lora", 1.0)):
            point = {"train_size": size, "steps": 300}
            grid.add("easy_vqa", variant, [score + more, score + more], point=point, train_size=size)
    return grid


def hallucination_grid() -> FakeGrid:
    grid = FakeGrid("hallucination")
    for variant, chair in (("hificl", 0.021), ("lora", 0.035)):
        details = {
            "chair_i": chair,
            "chair_s": chair + 0.01,
            "recall": 0.457,
            "chair_ci95": [chair - 0.01, chair + 0.01],
        }
        grid.add(
            "captions", variant, [1.295, 1.301], details=details, metric="cider_d", scale=1.0, difference=0.1, half=0.01
        )
    return grid


def fidelity_grid() -> FakeGrid:
    grid = FakeGrid("fidelity")
    for variant, start, closer in (("hificl", 0.4, -0.3), ("lora", 0.9, 0.2)):
        for seed in (0, 1):
            grid.measure("fidelity", "easy_vqa", variant, seed, _fidelity(variant, start + 0.01 * seed, closer))
    return grid


def fidelity_by_pairs_grid(trained: bool) -> FakeGrid:
    """Pairs of demonstrations, two numbers of them at two ranks, with or without a trained method beside them."""
    grid = fidelity_grid() if trained else FakeGrid("fidelity")
    for pairs, rank, start in ((1, 2, 0.68), (4, 2, 0.6), (1, 8, 0.65), (4, 8, 0.5)):
        for seed in (0, 1, 2):
            results = _fidelity("hificl_start", start + 0.01 * seed, -0.1)
            point = {"num_virtual_tokens": pairs, "r": rank}
            options = {**point, "steps": 0}
            grid.measure("fidelity", "easy_vqa", "hificl_start", seed, results, point=point, options=options)
    if trained:  # from where it started, it is no part of the sweep
        more = {"num_virtual_tokens": 4, "r": 8, "steps": 9}
        results = _fidelity("hificl_start", 0.1, -0.6)
        grid.measure("fidelity", "easy_vqa", "hificl_start", 0, results, point=more, options=more)
    return grid


def _fidelity(variant: str, start: float, closer: float) -> Json:
    def line(start: float, closer: float | None) -> Json:
        layers = [start, start * 0.9, start * 0.8]
        found = {
            "mean": start,
            "ci95": [start - 0.05, start + 0.05],
            "by_layer": {"mean": layers, "low": [v - 0.05 for v in layers], "high": [v + 0.05 for v in layers]},
        }
        sites = {
            site: {tokens: dict.fromkeys(("l2", "relative_l2", "cosine"), found) for tokens in ("shared", "answer")}
            for site in ("residual", "attention_output")
        }
        against = None if closer is None else {"mean": closer, "ci95": [closer - 0.02, closer + 0.02]}
        return {
            **sites,
            "kl": {"mean": 0.4, "ci95": [0.3, 0.5]},
            "agreement": {"mean": 0.8, "ci95": [0.7, 0.9]},
            "against_zero_shot": against,
        }

    return {
        "shots": 8,
        "draws": 2,
        "queries": 100,
        "layers": 3,
        "sites": ["attention_output", "residual"],
        "tokens": {"shared": 20.0, "answer": 2.0},
        "lines": {
            variant: line(start, closer),
            "zero_shot": line(0.7, None),
            "other_demonstrations": line(0.2, -0.5),
        },
    }


def screening_grid() -> FakeGrid:
    """Two rungs: four candidates of which one lacks a seed, then two; a rival in the first."""
    grid = FakeGrid("recipe_screening", ("task", "variant", "steps", "learning_rate"))
    first = {0.002: [70.0, 60.0], 0.01: [72.0, 66.0], 0.02: [71.0]}
    for task in ("easy_vqa", "flags"):
        grid.add(task, "hificl", [71.0, 62.0], point={"steps": 100, "learning_rate": None})
        grid.add(task, "lora", [71.5, 64.5], point={"steps": 100, "learning_rate": None})
        for rate, scores in first.items():
            grid.add(task, "hificl", scores, point={"steps": 100, "learning_rate": rate})
        grid.add(task, "hificl", [80.0, 70.0], point={"steps": 200, "learning_rate": None})
        grid.add(task, "hificl", [80.0, 69.0], point={"steps": 200, "learning_rate": 0.01})
    return grid


def confirmation_grid() -> FakeGrid:
    """At 50 examples every target is met, at 300 none is; LoRA lacks its 16-shot rival at 300."""
    grid = FakeGrid("recipe_confirmation", ("task", "variant", "train_size"), reference="hificl_robust")
    for size, own, lora, difference in ((50, [80.0, 82.0], [74.0, 78.0], -5.0), (300, [85.0, 95.0], [90.0, 92.0], 1.0)):
        point = {"train_size": size}
        grid.add("easy_vqa", "hificl_robust", own, point=point, train_size=size, is_reference=True)
        for variant, scores in (("lora", lora), ("hificl_paper", [70.0, 75.0])):
            gap = difference if variant == "lora" else -8.0
            grid.add(
                "easy_vqa", variant, scores, point=point, train_size=size, difference=gap, is_reference=False,
                trained=108_424 if size == 50 else 108_423,
            )  # fmt: skip
        for shots, scores in ((8, [70.0, 92.0]), (16, [80.0, 82.0] if size == 50 else [85.5, 80.0])):
            at = {**point, "shots": shots}
            grid.add(
                "easy_vqa", "icl", scores, shots=shots, point=at, train_size=size, difference=-9.0, is_reference=False
            )
    return grid


def real_mass_grid() -> FakeGrid:
    alpha = [[0.9, 0.5, 0.8], [0.7, 0.95, 0.6]]
    tables = {kind: {"mean": alpha} for kind in ("all", "image", "question")}
    pair = {
        "layer": 0,
        "head": 1,
        "pair": 3,
        "mass": 0.2,
        "by_type": {"image": 0.1},
        "from": [[HOSTILE, 0.3]],
        "says": [["red", 4.2]],
        "value_norm": 1.0,
    }
    results = {
        "queries": 50,
        "layers": 2,
        "heads": 3,
        "virtual": 8,
        "tokens": {"image": 100},
        "alpha": tables,
        "pairs_in_all": 48,
        "pairs": [pair],
    }
    return FakeGrid("real_mass").measure("real_mass", "easy_vqa", "hificl", 0, results)


def training_cost_grid() -> FakeGrid:
    grid = FakeGrid("training_cost")
    for variant, factor in (("hificl", 1.0), ("mimic", 5.5), ("lora", 1.2)):
        results = {
            "steps": 300,
            "examples": 300,
            "counted_steps": 300,
            "flops": 2e12 * factor,
            "flops_per_step": 1e10,
            "extrapolated": False,
        }
        volatile = {"seconds": 30.0 * factor, "seconds_per_step": None, "peak_memory_bytes": int(8e8 * factor)}
        grid.measure("training_cost", "easy_vqa", variant, 0, results, volatile)
    return grid


def inference_cost_grid() -> FakeGrid:
    grid = FakeGrid("inference_cost")
    for variant, shots in (("hificl", 0), ("icl", 4), ("icl", 8)):
        name = f"{variant}_{shots}" if shots else variant
        line = {
            "shots": shots,
            "prompt_tokens": 20.0 + 25 * shots,
            "longest_prompt": 30,
            "flops_prefill": 1e9 * (1 + shots),
            "flops_per_token": 1e7,
            "kv_bytes": 1e5 * (1 + shots),
        }
        spread = {"median": 0.01 * (1 + shots), "low": 0.009 * (1 + shots), "high": 0.011 * (1 + shots), "count": 5}
        lines = {name: line, "zero_shot": {**line, "shots": 0}}
        # The machine is half as fast for each further method: only ratios within a cell say anything.
        slow = {"median": spread["median"] * (1 + shots), "low": spread["low"], "high": spread["high"], "count": 5}
        timed = {
            name: {"seconds_to_first_token": slow, "seconds_per_token": slow},
            "zero_shot": {"seconds_to_first_token": spread, "seconds_per_token": spread},
        }
        grid.measure(
            "inference_cost",
            "easy_vqa",
            variant,
            0,
            {"queries": 16, "new_tokens": 8, "lines": lines},
            {"clock": "wall", "lines": timed},
        )
    return grid


ALL = (
    main_grid, rank_grid, data_efficiency_grid, hallucination_grid, fidelity_grid, real_mass_grid, training_cost_grid,
    inference_cost_grid,
)  # fmt: skip


def speed_record(row: str, ratio: float, bound: float | None, **settings: Any) -> Json:
    target = None if bound is None else {"bound": bound, "at_least": False}
    one = {
        "quantity": "time", "subject": "hificl", "rival": "plain", "unit": "ratio", "target": target, "note": "",
        "value": {"median": ratio, "low": ratio - 0.02, "high": ratio + 0.02, "count": 41},
        "met": None if bound is None else ratio <= bound,
    }  # fmt: skip
    points = settings.get("points", [])
    timing = {
        f"{name} at {point}": {"median": 0.01 * point, "low": 0.009 * point, "high": 0.011 * point, "count": 7}
        for point in points
        for name in ("hificl", "plain")
    }
    config = {
        "row": row,
        "device": "cpu",
        "hardware": "Example CPU",
        "threads": 1,
        "clock": "processor time",
        "settings": settings,
    }
    return {"kind": "speed", "config": config, "results": {"flops": {}, "published": {}}, "environment": ENVIRONMENT,
            "volatile": {"comparisons": [one], "timing": timing, "memory": {"peak_bytes": {}},
            "host": HOST, "date": "2026-11-23"}}  # fmt: skip


def write_speed(folder: Path) -> None:
    for name, record in {
        "attention/a": speed_record("attention", 1.02, 1.05, tokens=1024, batch=1),
        "attention/b": speed_record("attention", 1.09, 1.05, tokens=2048, batch=1),
        "attention/e": speed_record("attention", 1.06, 1.05, tokens=4096, batch=1),
        "decode/c": speed_record("decode", 1.3, None, decoder="small"),
        "scaling/d": speed_record("scaling", 0.01, 0.05, axis="tokens", points=[256, 512, 1024], decoder="small"),
    }.items():
        write(folder / "speed" / f"{name}.json", record)


def write_everything(folder: Path) -> Path:
    """Every kind of grid, speed, and gates."""
    for make in ALL:
        make().write(folder)
    write_speed(folder)
    gate = {
        "name": "best method",
        "measured": 97.6,
        "interval": [95.6, 99.2],
        "bound": 85.0,
        "above": True,
        "inclusive": False,
    }
    gates = [{**gate, "passed": True}, {**gate, "name": "zero-shot", "interval": None, "above": False, "passed": False}]
    write(folder / "gates" / "gates.json", {"kind": "gates", "config": {"model": "embedded"}, "results": gates})
    return folder
