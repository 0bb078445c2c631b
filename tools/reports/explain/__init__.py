"""Why a plan is as it is: what else there was, and what it would have cost, by planning again."""
