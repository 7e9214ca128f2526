"""What every integration shares: pairing, downloads, kept selections."""
