"""What goes when its time is up: dropped by the sink's own job, written down and signed before and after."""
