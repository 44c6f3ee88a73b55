"""Which tiny models have what a bug is about; of every family one, and variants where it takes one."""

TOY = ("attention_only",)
LLAMAS = ("llama", "mistral", "qwen2")  # norms that do not centre, gates, shared keys and values
ROTARY = ("gpt_neox", *LLAMAS)
SCALED = ("llama3_positions", "linear_positions")  # rotary positions, for longer contexts
CENTRED = ("gpt2", "gpt_neox", "bert")  # norms that take the mean away
NORMED = (*CENTRED, *LLAMAS)
NORMED_BEFORE = ("gpt2", *ROTARY)
BIASED = (*CENTRED, "llama_biases")  # every map of a layer has a bias
LEARNED = (*TOY, "gpt2", "bert")  # an embedding of positions
BACKWARD = (*TOY, "gpt2", *ROTARY)  # a query sees no later key
SEQUENTIAL = ("gpt2", "gpt_neox_sequential", *LLAMAS)  # the feed-forward part reads what attention wrote
TIED = ("gpt2", "llama_biases", "qwen2", "bert")
UNTIED = (*TOY, "gpt_neox", "llama", "mistral")
EVERY = (*TOY, *NORMED)
