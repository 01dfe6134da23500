"""From the text of a workflow file to a checked, typed workflow; pure."""
