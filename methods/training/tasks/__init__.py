"""What can be trained; a recipe's `task` names a module here, whose `build(recipe, runs)` gives a `Task`."""
