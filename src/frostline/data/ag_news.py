"""AG News: news items on the world, sports, business, or science and technology (Zhang, Zhao and LeCun, 2015)."""

from frostline.data.text import TextData


class AGNews(TextData):
    """120,000 training and 7,600 test items with four labels; validation is held out from train."""

    hub = "fancyzhx/ag_news"
