"""The batched loop: decoding ahead, batches of one size, back-off when memory is short, results in input order."""
