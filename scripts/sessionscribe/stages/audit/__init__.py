"""Is all of a session in its transcript: what an audit looks at, a module for each question.

None of them trusts what a stage says of itself. ``tiling``: is all audio cut and decoded; ``accounts``: where
is every word; ``coverage``: where is speech without a word; ``times``: are the words in order and inside;
``suspects``: what was perhaps invented; ``flags``: all that in plain words.
"""
