"""Product classes, vocabulary, wildcards and LoRA tags of a request's prompts."""
