"""PEFT methods that sit beside the modules of a frozen text decoder: virtual key-value pairs, and interventions."""

from hificl.registration import register
from hificl.tuner.config import HiFICLConfig, HiFICLPeftType, registered
from hificl.tuner.hooks import on_place
from hificl.tuner.intervention import Call, Intervention, InterventionConfig
from hificl.tuner.intervention_model import InterventionModel, interventions
from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.model import HiFICLModel
from hificl.tuner.places import SITES, Place, find_places
from hificl.tuner.sidecar_model import SidecarModel
from hificl.tuner.sites import Site, find_sites

__all__ = [
    "SITES",
    "Call",
    "HiFICLConfig",
    "HiFICLLayer",
    "HiFICLModel",
    "HiFICLPeftType",
    "Intervention",
    "InterventionConfig",
    "InterventionModel",
    "Place",
    "SidecarModel",
    "Site",
    "find_places",
    "find_sites",
    "interventions",
    "on_place",
    "registered",
]

register()
