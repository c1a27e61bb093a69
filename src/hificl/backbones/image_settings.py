"""The settings of an image processor, as they are stored with an adapter and compared when it is loaded."""

from __future__ import annotations

import json
from typing import Any

from hificl.backbones.backbone import Backbone


def image_settings(backbone: Backbone) -> dict[str, Any]:
    """Return the settings of the image processor as JSON values; empty for a text-only backbone."""
    if not backbone.takes_images:
        return {}
    values = json.loads(backbone.processor.image_processor.to_json_string())
    return dict(sorted(values.items()))
