"""The benchmark: fixed splits, one row per dataset, split and way of pooling, and the table and page made of them."""
