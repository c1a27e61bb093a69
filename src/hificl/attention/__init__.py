"""The one formula of the method: attention over a few learned key-value pairs and the visible real keys."""

from hificl.attention.mass import attention_with_mass
from hificl.attention.mixture import virtual_mixture
from hificl.attention.virtual import virtual_attention

__all__ = ["attention_with_mass", "virtual_attention", "virtual_mixture"]
