"""What the votes say: rates, strata, blame, rivals, exports."""
