"""What tests of pictures read from them."""


def labels(ax):
    """Return what the legend of `ax` says."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def tile(display, row, column, side=8):
    """Return one image of a picture of them."""
    pixels = display.image_.get_array()
    return pixels[row * (side + 1) :, column * (side + 1) :][:side, :side]
