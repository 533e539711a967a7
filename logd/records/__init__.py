"""What the daemon carries: records, alone and in batches. The ground that all else stands on."""
