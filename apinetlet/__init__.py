"""The daemon that maps networking objects of one cluster into another."""
