"""The shape that all evaluations share: options, cells, resume, shards, figures, table, plot."""
