"""Colours of the page: words stand out from their ground 4.5 times (WCAG 2.2, 1.4.3), lines 3 times (1.4.11)."""

from __future__ import annotations

INK, MUTED, PAPER, CARD, RULE = "#1a1f26", "#545e69", "#ffffff", "#f5f7f9", "#d7dde3"
TWIN, BAND_50, BAND_90 = "#0a5896", "#8fbce3", "#cfe2f3"
READING = "#a83c05"
SCENARIOS = ("#2e6e1f", "#7a3e9d", "#8a5a00", "#00666b", "#9c2c5e", "#4d4d4d")
ON_TEXT = ((INK, PAPER), (INK, CARD), (MUTED, PAPER), (MUTED, CARD), (TWIN, PAPER), (TWIN, CARD), (READING, PAPER),
           *((colour, PAPER) for colour in SCENARIOS))  # fmt: skip
"""Colours of words and the grounds that they stand on."""


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
