"""The audit: is all of a session in its transcript, and what needs a second look?

It counts independently instead of trusting what a stage says of itself: ``consistency`` checks cuts, chunks
and times, ``accounts`` words; ``passages`` finds speech without words and words that may be invented.
``flags`` puts the findings into words.
"""
