"""A validation split of VQAv2 in its full size opens quickly and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = 214_354
SECONDS, BYTES = 15.0, 1.5e9

MEASURE = """
import json, re, sys, time
from pathlib import Path
from hificl.tasks.benchmarks import BENCHMARKS
from hificl.tasks.benchmarks.loading import Source
start = time.process_time()
split = Source.open(sys.argv[1], None, None, "fail").split(BENCHMARKS["vqav2"], "val")
seconds = time.process_time() - start
# Not getrusage: its peak is inherited from the process that started this one.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([split.rows, len(split.broken), seconds, peak]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_the_whole_index(tmp_path: Path) -> None:
    answers = ", ".join(
        f'{{"answer": "answer {at}", "answer_confidence": "maybe", "answer_id": {at}}}' for at in range(1, 11)
    )
    with (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").open("w") as file:
        file.write('{"info": {}, "questions": [')
        for at in range(ROWS):
            question = f'"question": "What is the colour of disc number {at}?"'
            file.write(f'{", " * (at > 0)}{{"image_id": {at // 5}, {question}, "question_id": {at}}}')
        file.write("]}")
    with (tmp_path / "v2_mscoco_val2014_annotations.json").open("w") as file:
        file.write('{"annotations": [')
        for at in range(ROWS):
            kinds = '"question_type": "what is the", "answer_type": "other", "multiple_choice_answer": "answer 1"'
            ids = f'"image_id": {at // 5}, "question_id": {at}'
            file.write(f'{", " * (at > 0)}{{{kinds}, "answers": [{answers}], {ids}}}')
        file.write("]}")
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    rows, broken, seconds, peak = json.loads(done.stdout)
    assert (rows, broken) == (ROWS, 0)
    assert seconds < SECONDS
    assert peak < BYTES
