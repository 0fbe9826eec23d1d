"""StyleRes: residual features beside the codes ("styleres" card). WarpRes builds on this room."""
