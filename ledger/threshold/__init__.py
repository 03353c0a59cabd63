"""Threshold BLS signatures over BLS12-381: the seal's mathematics, over two interchangeable backends."""
