"""What all evaluations share: options, cells, resuming, sharding, figures, table and plot."""
