"""What two or more services share: contracts, the consume loop, identity, observability."""
