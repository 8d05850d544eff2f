"""What happens is counted in memory that all workers share, told to Prometheus, and logged."""
