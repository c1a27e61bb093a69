"""The tuner of every method that acts at places of the text decoder."""

from __future__ import annotations

from typing import Any

from torch import nn

from hificl.errors import InputError
from hificl.tuner.intervention import Intervention, InterventionConfig
from hificl.tuner.intervention_layer import InterventionLayer, install
from hificl.tuner.places import SITES, Place, find_places
from hificl.tuner.prefill import install_prefill, remove_prefill
from hificl.tuner.sidecar import compute_device, on_meta_if, sidecars
from hificl.tuner.sidecar_model import SidecarModel
from hificl.tuner.sites import text_decoder


class InterventionModel(SidecarModel):
    """Puts interventions at places of a text decoder.

    Made by ``peft.get_peft_model(model, config)`` with a config derived from :class:`InterventionConfig`. The module at
    each place gets a sidecar :class:`InterventionLayer` and a hook that asks it.
    """

    tuner_layer_cls = InterventionLayer
    no_merge = (
        "interventions cannot be merged into the weights: they change activations. Keep the adapter (it costs next to "
        "nothing), or call unload() to get the base model back."
    )

    def places(self, config: InterventionConfig) -> list[Place]:
        """Return the places where a config may act: those of its sites, in its layers."""
        found: dict[str, list[Place]] = self.__dict__.setdefault("_places", {})
        for site in config.sites:
            if site not in found:
                found[site] = find_places(self.model, site)
        layers = config.layers()
        return [place for site in config.sites for place in found[site] if layers is None or place.layer in layers]

    def _prepare_adapter_config(self, peft_config: Any, model_config: dict[str, Any]) -> Any:
        """Refuse layers, and whatever else a config names, that the model does not have."""
        for site in peft_config.sites[:1]:  # every site has one place in each layer
            peft_config.check(find_places(self.model, site))
        return peft_config

    def _check_target_module_exists(self, peft_config: Any, key: str) -> bool:  # type: ignore[override]
        return any(place.name == key for place in self.places(peft_config))

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        device = compute_device(target)
        for place in self.places(peft_config):
            if place.name != current_key:
                continue
            with on_meta_if(device):
                intervention = peft_config.build(place)
            if intervention is not None:
                sidecar = install(self.model, place, install_prefill(text_decoder(self.model)))
                sidecar.hold(adapter_name, intervention, device, inference_mode=peft_config.inference_mode)

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """Add an adapter to the model; see :meth:`peft.tuners.tuners_utils.BaseTuner.inject_adapter`.

        Raises:
            InputError: The config acts nowhere in this model.
        """
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        acting = {sidecar.name for sidecar in self.sidecars() if len(sidecar.adapters)}
        self.targeted_module_names = [name for name in self.targeted_module_names if name in acting]
        if not any(adapter_name in sidecar.adapters for sidecar in self.sidecars()):
            raise InputError(self.no_match(self.peft_config[adapter_name]))

    def no_match(self, peft_config: Any) -> str:
        """Say which layers there are."""
        sites, told = ", ".join(peft_config.sites), peft_config.layers_to_transform
        depth = len(find_places(self.model, SITES[0]))
        return (
            f"{type(peft_config).__name__}: it acts nowhere at {sites or 'no site'} with layers_to_transform={told!r}; "
            f"choose layers from 0 to {depth - 1} in which the method has something to do"
        )

    def clean(self) -> None:
        """Take the hook off that tells the first forward of a generation."""
        remove_prefill(self.model)


def interventions(model: nn.Module, adapter_name: str = "default") -> dict[tuple[str, int], Intervention]:
    """Return the modules of one adapter by (site, layer), to set or read their values.

    Args:
        model: What ``get_peft_model`` returned, or its base model.
        adapter_name: Which adapter.

    Returns:
        In the order of the sites in ``SITES``, then of the layers.

    Raises:
        InputError: The model has no such adapter; the message names those it has.
    """
    layers: list[Any] = [sidecar for _, _, sidecar in sidecars(model, InterventionLayer)]
    found = [layer for layer in layers if adapter_name in layer.adapters]
    if not found:
        known = sorted({name for layer in layers for name in layer.adapters})
        raise InputError(
            f"interventions: no adapter {adapter_name!r} on this {type(model).__name__}; it has "
            f"{', '.join(map(repr, known)) or 'none'}"
        )
    found.sort(key=lambda layer: (SITES.index(layer.place.site), layer.place.layer))
    return {(layer.place.site, layer.place.layer): layer.adapters[adapter_name] for layer in found}
