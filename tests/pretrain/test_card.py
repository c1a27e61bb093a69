"""The card shows the numbers of the records, the sources that were used and every gate, passed or not."""

from pretrain.card import write_card
from pretrain.data import SOURCES

RECORD = {
    "size": "tiny",
    "seed": 3,
    "architecture": {
        "text_width": 96, "text_layers": 4, "heads": 4, "kv_heads": 2, "vision_width": 64, "vision_layers": 2,
        "vocabulary": 1024,
    },
    "pools": {"scenes": 30, "fashion": 20},
    "stages": [
        {
            "name": "vision",
            "batch": 24,
            "last": {
                "stage": "vision", "step": 7, "of": 7, "seconds": 90, "eta": 0, "loss": 1.5, "shape_accuracy": 81.5
            },
        }
    ],
    "environment": {"python": "3.11.0"},
    "volatile": {"seconds": 90, "processor": "a processor", "threads": 1},
}  # fmt: skip
GATES = {
    "config": {"train_size": 5},
    "results": [
        {
            "name": "binding", "measured": 71.25, "interval": [65.0, 77.5], "bound": 85.0, "above": True,
            "inclusive": False, "passed": False,
        },
        {
            "name": "more demonstrations", "measured": -1.0, "interval": None, "bound": -3.0, "above": True,
            "inclusive": True, "passed": True,
        },
    ],
}  # fmt: skip


def test_card_shows_the_numbers_of_the_records():
    card = write_card(RECORD, GATES, 1_234_000)
    assert "of 1.2 million parameters" in card
    assert "Qwen2 decoder 4 x 96" in card
    assert "| vision | 7 | 24 | 1.5 | 1.50 | shape_accuracy 81.5 |" in card
    assert "| binding | above 85 | 71.2 | 65.0 to 77.5 | **failed** |" in card
    assert "| more demonstrations | at least -3 | -1.0 |  | passed |" in card


def test_card_names_the_packages_of_the_pools_and_no_others():
    card = write_card(RECORD, GATES, 1_234_000)
    used = set(SOURCES["fashion"].packages)
    assert all(f"| {name} " in card for name in used)
    assert not any(f"| {name} " in card for source in SOURCES.values() for name in set(source.packages) - used)
