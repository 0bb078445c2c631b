"""From a model to a plan to instructions: the passes, each in the file of its name, ordered by ``passes.pipeline``."""
