"""Every method as data: what it is called, how its values are found, what its search tries. Imports no torch.

The formula, the PEFT config and the fit of a method stand in the file of its name.
"""

from __future__ import annotations

from hificl.methods.method import Method

ENTRIES = (
    Method(
        name="zero_shot",
        description="the frozen backbone as it is, without demonstrations",
        kind="prompt",
        source="the backbone itself",
    ),
    Method(
        name="icl",
        description="in-context learning: demonstrations from the support set stand before the query",
        kind="prompt",
        source="Brown et al., arXiv:2005.14165; retrieval by image (RICES): Yang et al., arXiv:2109.05014",
        search=({"shots": 4}, {"shots": 8}, {"shots": 16}, {"shots": 8, "retrieval": "rices"}),
    ),
    Method(
        name="lora",
        description="low-rank updates of the attention projections of the text decoder (never the vision tower)",
        kind="trained",
        source="Hu et al., arXiv:2106.09685; DoRA: Liu et al., arXiv:2402.09353",
        recipe={"learning_rate": 5e-4},
        search=({"learning_rate": 1e-4}, {"learning_rate": 5e-4}, {"learning_rate": 1e-3}, {"learning_rate": 3e-3}),
    ),
    Method(
        name="prefix_tuning",
        description="learned key-value pairs per key-value head before the real ones, without positions",
        kind="trained",
        source="Li and Liang, arXiv:2101.00190",
        search=({"learning_rate": 1e-3}, {"learning_rate": 5e-3}, {"learning_rate": 2e-2}, {"learning_rate": 5e-2}),
    ),
    Method(
        name="task_vector",
        description="one hidden state of a prompt with demonstrations replaces the query's own, at one layer",
        kind="fitted",
        source="Hendel et al., arXiv:2310.15916",
        search=({"shots": 2}, {"shots": 4}, {"shots": 8}, {"shots": 16}),
    ),
    Method(
        name="function_vector",
        description="the summed outputs of the heads that carry the task, added to the residual stream at one layer",
        kind="fitted",
        source="Todd et al., arXiv:2310.15213",
        search=({"num_heads": 3}, {"num_heads": 5}, {"num_heads": 10}, {"num_heads": 20}),
    ),
    Method(
        name="icv",
        description="in-context vectors: the main direction from question to answer, added after every MLP",
        kind="fitted",
        source="Liu et al., arXiv:2311.06668",
        recipe={"holdout": 0.0},  # it chooses nothing
        search=({"scale": 0.1}, {"scale": 0.2}, {"scale": 0.4}, {"scale": 0.8}),
    ),
    Method(
        name="i2cl",
        description="implicit in-context learning: mean activations of demonstrations mixed in by four scalars a layer",
        kind="trained",
        source="Li et al., arXiv:2405.14660",
        recipe={"learning_rate": 1e-2, "warmup": 0.05, "batch_size": 2, "answer_tokens": "first"},
        search=({"learning_rate": 1e-3}, {"learning_rate": 1e-2}, {"learning_rate": 3e-2}, {"learning_rate": 1e-1}),
    ),
    Method(
        name="mtv",
        description="multimodal task vectors: mean outputs of heads that are chosen by reinforcement learning",
        kind="fitted",
        source="Huang et al., arXiv:2406.15334",
        search=(
            {"shots": 4},
            {"shots": 8},
            {"shots": 4, "answer_tokens": "all"},
            {"shots": 8, "answer_tokens": "all"},
        ),
    ),
    Method(
        name="live",
        description="learned in-context vectors after every MLP, taught by a model that sees demonstrations",
        kind="trained",
        source="Peng et al., arXiv:2406.13185",
        recipe={"teacher": "kl", "answer_weight": 0.5, "scale_learning_rate": 1e-2},
        search=({"learning_rate": 1e-3}, {"learning_rate": 5e-3}, {"learning_rate": 2e-2}, {"learning_rate": 5e-2}),
    ),
    Method(
        name="mimic",
        description="a learned vector per head, weighted by the query, taught by a model that sees demonstrations",
        kind="trained",
        source="Jiang et al., arXiv:2504.08851",
        recipe={"teacher": "mse", "answer_weight": 0.5},
        search=({"learning_rate": 1e-3}, {"learning_rate": 5e-3}, {"learning_rate": 2e-2}, {"learning_rate": 5e-2}),
    ),
    Method(
        name="m2iv",
        description="learned vectors after attention and MLP, taught by a model that sees many demonstrations",
        kind="trained",
        source="Li et al., arXiv:2504.04633",
        recipe={"teacher": "kl", "scale_learning_rate": 1e-2},
        search=({"learning_rate": 1e-3}, {"learning_rate": 5e-3}, {"learning_rate": 2e-2}, {"learning_rate": 5e-2}),
    ),
    Method(
        name="hificl",
        description="learned key-value pairs in the softmax of every attention layer of the text decoder",
        kind="trained",
        source="HiFICL, arXiv:2603.12760",
        # grids/recipe_screening.yaml; a rank of six keeps the offsets within 0.17 of LoRA's parameters on small heads.
        robust={
            "init": "demonstrations",
            "init_captures": 4,
            "learn_score_offset": True,
            "r": 6,
            "average": 0.3,
        },
        otherwise=(
            {"init_shots": 4},
            {"init_captures": 1},
            {"init_captures": 1, "init_shots": 4},
            {"init_captures": 1, "init_shots": 2},
            {"init_captures": 1, "init_shots": 1},
            {"init": "random"},
        ),
        search=({"learning_rate": 1e-3}, {"learning_rate": 5e-3}, {"learning_rate": 2e-2}, {"learning_rate": 5e-2}),
    ),
)
"""The plain methods first, HiFICL last."""
