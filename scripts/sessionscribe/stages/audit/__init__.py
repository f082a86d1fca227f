"""The audit: is all of a session in its transcript, and what needs a second look?

It counts independently instead of trusting what a stage says of itself: ``consistency`` checks cuts, chunks
and times, ``accounts`` words, ``coverage`` speech without words, ``suspects`` words that may be invented.
``flags`` puts the findings into words.
"""
