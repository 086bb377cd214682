"""Rotten Tomatoes: sentences from film reviews, negative or positive (Pang and Lee, 2005)."""

from frostline.data.text import TextData


class RottenTomatoes(TextData):
    """8,530 training, 1,066 validation and 1,066 test sentences with two labels."""

    hub = "cornell-movie-review-data/rotten_tomatoes"
