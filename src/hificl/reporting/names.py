"""What names of records are called in front of people."""

from __future__ import annotations

from collections.abc import Mapping

REFERENCE = "hificl"
"""The method that the others are compared with."""

_METHODS = {
    "zero_shot": "zero-shot",
    "icl": "ICL",
    "icl_rices": "ICL by image (RICES)",
    "lora": "LoRA",
    "lora_official": "LoRA, official scope",
    "dora": "DoRA",
    "prefix_tuning": "prefix tuning",
    "prefix_tuning_peft": "prefix tuning (PEFT)",
    "task_vector": "task vector",
    "function_vector": "function vector",
    "icv": "ICV",
    "i2cl": "I2CL",
    "mtv": "MTV",
    "live": "LIVE",
    "mimic": "MimIC",
    "mimic_altered": "MimIC, altered form",
    "mimic_altered_diagonal": "MimIC, altered, diagonal",
    "mimic_official": "MimIC, official mass",
    "mimic_head_shared": "MimIC, shared by heads",
    "mimic_query_shared": "MimIC, shared by queries",
    "mimic_kl": "MimIC taught by KL",
    "m2iv": "M2IV",
    "hificl": "HiFICL",
    "hificl_full": "HiFICL, no factors",
    "hificl_full_key": "HiFICL, keys without factors",
    "hificl_full_value": "HiFICL, values without factors",
    "hificl_additive": "HiFICL, alpha = 1",
    "hificl_kv": "HiFICL, pairs per kv head",
    "hificl_offset": "HiFICL, learned offset",
    "hificl_official": "HiFICL, official mass",
    "hificl_start": "HiFICL from demonstrations",
    "hificl_paper": "HiFICL, recipe of the paper",
    "hificl_robust": "HiFICL, robust recipe",
    "hificl_teacher": "HiFICL with teacher",
    "other_demonstrations": "other demonstrations (floor)",
    "hyper_icl": "Hyper-ICL",
    "stave": "STAVE",
}
_METRICS = {
    "exact_match": "exact match",
    "vqa_accuracy": "VQA accuracy",
    "cider_d": "CIDEr-D",
    "choice_accuracy": "choice accuracy",
    "yes_no_accuracy": "yes/no accuracy",
    "roc_auc": "ROC-AUC",
    "chair": "CHAIR",
    "chair_i": "CHAIR_i",
    "chair_s": "CHAIR_s",
    "recall": "recall",
}
_TASKS = {
    "easy_vqa": "easy-VQA",
    "vqav2": "VQAv2",
    "ok_vqa": "OK-VQA",
    "coco_captions": "COCO captions",
    "flickr30k": "Flickr30k",
    "ocr_vqa": "OCR-VQA",
    "seed_bench": "SEED-Bench",
    "mme": "MME",
    "hateful_memes": "Hateful Memes",
    "five_task_average": "average of 5 tasks",
}
_AXES = {
    "r": "rank r",
    "rank": "rank r",
    "n": "virtual pairs n",
    "pairs": "virtual pairs n",
    "num_virtual_tokens": "virtual pairs n",
    "train_size": "training examples",
    "size": "training examples",
    "shots": "demonstrations in the prompt",
}
_OPTIONS: dict[str, dict[str, object]] = {
    "not trained": {"steps": 0},
    "no factors": {"factorize_key": False, "factorize_value": False},
}
"""Options that have a name of their own."""
_SHORT = {"num_virtual_tokens": "n"}
_MODELS = {
    "llava-interleave-7b": "LLaVA-Interleave-7B",
    "idefics2-8b-base": "Idefics2-8B-base",
    "idefics2-8b": "Idefics2-8B",
    "idefics-9b": "IDEFICS-9B",
    "qwen-vl": "Qwen-VL",
    "llava-onevision-7b": "LLaVA-OneVision",
}


def method_label(variant: str, shots: int = 0, control: str | None = None) -> str:
    """Name a variant with its shots and its control."""
    label = _METHODS.get(variant, variant.replace("_", " "))
    if shots:
        label = f"{shots}-shot {label}"
    if control == "random_lm":
        label += ", random LM (control)"
    elif control:
        label += f", {control} (control)"
    return label


def metric_label(metric: str) -> str:
    """Name a metric."""
    return _METRICS.get(metric, metric.replace("_", " "))


def task_label(task: str) -> str:
    """Name a task."""
    return _TASKS.get(task, task.replace("_", " "))


def axis_label(axis: str) -> str:
    """Name what a grid sweeps."""
    return _AXES.get(axis, axis.replace("_", " "))


def option_labels(options: Mapping[str, object]) -> list[str]:
    """Say what options are set to."""
    rest, labels = dict(options), []
    for words, settings in _OPTIONS.items():
        if all(name in rest and rest[name] == value for name, value in settings.items()):
            labels.append(words)
            rest = {name: value for name, value in rest.items() if name not in settings}
    if "teacher_shots" in rest:
        labels.append(f"{rest.pop('teacher_shots')}-shot teacher")
    for name, value in rest.items():
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        labels.append(f"{_SHORT.get(name, name)} = {shown}")
    return labels


def model_label(model: str) -> str:
    """Name a backbone."""
    return _MODELS.get(model, model)


def subset_label(subset: str) -> str:
    """Name a part of the queries."""
    return "all queries" if subset == "all" else f"{subset} questions"
