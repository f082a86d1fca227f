"""Score transcripts against references, and compare two transcripts. See ``docs/accuracy.md``.

No measure is computed by hand: words are aligned by jiwer and rapidfuzz, speakers by pyannote.metrics, both
together by meeteval. All of them are imported inside functions: the command starts without them.
"""
