"""Order, configurations and the plan of every machine segment, through passes.planner."""
