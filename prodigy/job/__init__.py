"""What a run is and what happens next in it; pure."""
