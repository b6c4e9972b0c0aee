"""Text for a manuscript: LaTeX that compiles with pdflatex and asks for no font beyond the document's own."""

from __future__ import annotations

import re
import unicodedata

STUDY_MACRO = r"\providecommand*{\gndlStudy}{.}"
"""Folder of the study as seen from the manuscript; ``\\newcommand{\\gndlStudy}{runs/quick}`` before it decides."""

# Signs that a text font may lack, or that it keeps in a font which pdflatex has as a bitmap only.
_SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"$\sim$",
    "^": r"\^{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "÷": r"$\div$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "↔": r"$\leftrightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "∈": r"$\in$",
    "√": r"$\surd$",
    "°": r"$^\circ$",
    "²": "$^2$",
    "³": "$^3$",
    "′": "$'$",
    "‖": r"$\Vert$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\N{NO-BREAK SPACE}": "~",
    "µ": r"$\mu$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ε": r"$\epsilon$",
    "η": r"$\eta$",
    "θ": r"$\theta$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "ν": r"$\nu$",
    "π": r"$\pi$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "φ": r"$\phi$",
    "χ": r"$\chi$",
    "ψ": r"$\psi$",
    "ω": r"$\omega$",
}

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def escape(text: str) -> str:
    """Write plain text as LaTeX: special signs escaped, λ and ± in math mode; a sign unknown to it by its name."""
    unlinked = re.sub("-(?=-)", "-\0", text)  # "--jobs" is no dash
    return "".join(_sign(letter) for letter in unlinked).replace("\0", "{}")


def _sign(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    if letter.isascii() or unicodedata.normalize("NFD", letter)[0].isascii():
        return letter  # é and its like are composed by every encoding
    return f"[{unicodedata.name(letter, 'unknown sign').lower()}]"


def macro_name(*parts: str) -> str:
    r"""Make a macro's name from words and numbers: ``("accuracy", "oulu_casia", "0.5")`` is ``gndlAccuracy…``.

    TeX takes letters only, so digits are spelled: ``\gndlAccuracyOuluCasiaZeroPointFive``. Different parts give
    different names as long as they differ in letters and digits.
    """
    words: list[str] = []
    for part in parts:
        spelled = re.sub(r"(?<=\d)\.(?=\d)", " point ", part.replace("+", " plus "))
        spelled = re.sub(r"\d", lambda digit: f" {_DIGITS[int(digit.group())]} ", spelled)
        words += re.findall(r"[A-Za-z]+", unicodedata.normalize("NFKD", spelled))
    return "gndl" + "".join(word[0].upper() + word[1:] for word in words)


def figure_environment(path: str, width: float, *, caption: str, description: str, label: str, columns: float) -> str:
    """Write a float that shows one PDF at its own width, for acmart and any other class.

    Parameters
    ----------
    path : str
        Of the PDF within the study.
    width : float
        Of the figure in inches. Up to ``columns`` it floats in one column, beyond over both.
    caption, description : str
        Plain texts; the description is for those who cannot see the figure (acmart's ``\\Description``).
    label : str
    columns : float
        Width of one column in inches.
    """
    wide = width > columns + 0.02
    kind = "figure*" if wide else "figure"
    length = r"\textwidth" if wide else r"\columnwidth"
    if (wide and width < 2 * columns) or width < columns - 0.02:
        length = f"{width:.2f}in"
    return "\n".join(
        [
            STUDY_MACRO,
            r"\providecommand{\Description}[2][]{}",
            rf"\begin{{{kind}}}",
            r"  \centering",
            rf"  \includegraphics[width={length}]{{\gndlStudy/{path}}}",
            rf"  \caption{{{escape(caption)}}}",
            rf"  \Description{{{escape(description)}}}",
            rf"  \label{{{label}}}",
            rf"\end{{{kind}}}",
            "",
        ]
    )
