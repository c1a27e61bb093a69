"""HiFICL as a PEFT method: virtual key-value pairs beside each attention module of a frozen text decoder."""

from hificl.registration import register
from hificl.tuner.config import HiFICLConfig
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.model import HiFICLModel
from hificl.tuner.sites import Site, find_sites

__all__ = ["HiFICLConfig", "HiFICLLayer", "HiFICLModel", "Site", "find_sites"]

register()
