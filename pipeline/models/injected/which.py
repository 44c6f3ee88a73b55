"""Which tiny models have what a bug is about; of every family one, and variants where it takes one."""

TOY = ("attention_only",)
UNCENTRED = ("llama", "mistral", "qwen2", "phi3", "gemma", "gemma2")  # norms that leave the mean
GATED = (*UNCENTRED, "stablelm", "olmo")  # feed-forward parts have gates
GROUPED = (*GATED, "phi", "starcoder2")  # heads share keys and values
PARTIAL = ("gpt_neox", "phi", "stablelm")  # rotary positions turn a part of each head
WHOLE = (*UNCENTRED, "olmo", "starcoder2")  # or all of it
ROTARY = ("gpt_neox", *GROUPED)
SCALED = ("llama3_positions", "linear_positions")  # rotary positions, for longer contexts
SHIFTED = ("gpt2", "gpt_neo", "gpt_neox", "bert", "opt", "phi", "stablelm", "starcoder2")  # norms have gains and biases
CENTRED = (*SHIFTED, "olmo")  # norms that take the mean away
GAINED = (*SHIFTED, *UNCENTRED)  # norms have gains
NORMED = (*CENTRED, *UNCENTRED)
TWO_NORMS = tuple(name for name in GAINED if name != "phi")  # each part of a layer has its own
NORMED_BEFORE = ("gpt2", "gpt_neo", "opt", *ROTARY)
BIASED = ("gpt2", "gpt_neox", "bert", "opt", "phi", "starcoder2", "llama_biases")  # every map of a layer has a bias
BIASED_LOGITS = ("bert", "phi")
LEARNED = (*TOY, "gpt2", "gpt_neo", "bert", "opt")  # an embedding of positions
IN_STREAM = ("gpt2", "gpt_neo", "bert", "opt")  # and it joins the stream
BACKWARD = (*TOY, "gpt2", "gpt_neo", "opt", *ROTARY)  # a query sees no later key
PARALLEL = ("gpt_neox", "phi")  # the feed-forward part reads what attention reads
SEQUENTIAL = ("gpt2", "gpt_neo", "gpt_neox_sequential", "opt", "starcoder2", *GATED)  # it reads what attention wrote
GELU = ("gpt_neox", "bert")
GELU_BY_TANH = ("gpt2", "gpt_neo", "phi", "starcoder2", "gemma", "gemma2")
SILU = tuple(name for name in GATED if name not in GELU_BY_TANH)
EMBEDDING_SCALED = ("gemma", "gemma2")  # and gains counted from 1
CAPPED = ("gemma2",)  # scores and logits; and a norm stands behind each part
ADDING_UP = tuple(name for name in NORMED_BEFORE if name not in CAPPED)  # logits are a sum over parts
SMOOTH = tuple(name for name in NORMED if name != "opt")  # neurons do not bend at one point
TIED = ("gpt2", "gpt_neo", "llama_biases", "qwen2", "bert", "opt", "starcoder2", "gemma", "gemma2")
UNTIED = (*TOY, "gpt_neox", "llama", "mistral", "phi3", "stablelm", "olmo", "phi")
EVERY = (*TOY, *NORMED)
