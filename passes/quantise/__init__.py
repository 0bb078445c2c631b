"""Parts of ``assume-int8``: ``places`` where quantisers have to stand, ``calibrate`` what values are seen there."""
