"""Lessons in a terminal: the real engine on a tiny real table, for somebody who has never trained a network.

table      thirty-two proteins and the question whether they leave the cell
pictures   numbers as shaded blocks, bars and curves
walk       one batch through a network, slowly, with the true numbers (also `anfinsen train --slow`)
reading, stepping, transfer, confidence   the four lessons
lessons    the list of them
"""
