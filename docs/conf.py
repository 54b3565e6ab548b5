"""The documentation site: `make docs` builds it under build/docs, where warnings are errors.

The pages are Markdown that a code host shows as well. What a host has and a site does not, or the other way
round, is bridged here: links to files that are no pages become downloads, mathematics becomes MathML, which
browsers draw without a script, so that the site needs no network.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
# The sources beside these pages are documented, also where another version is installed.
sys.path.insert(0, str(ROOT / "python"))

project = "farpoint"
author = copyright = "The farpoint developers"
release = version = installed_version("farpoint")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinxarg.ext",
]
nitpicky = True
# Names of arguments and attributes have no entry, and neither have other libraries. farpoint's must be found.
nitpick_ignore_regex = [("py:obj", r"[a-z_]+|(numpy|torch|skactiveml)\..*")]
# A name in single quotes of a docstring is a link where it is the name of something, else code.
default_role = "autolink"

highlight_language = "none"
smartquotes = False  # they would join the two dashes of an option

html_theme = "furo"
html_title = "farpoint"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_ref_domains = ["std", "py"]

autodoc_typehints = "none"  # docstrings say types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # they are listed by autodoc
numpydoc_class_members_toctree = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _link_to_files(app: Sphinx, name: str, source: list[str]) -> None:
    """Make links to Markdown outside this folder, which the site has no pages for, downloads."""
    folder = Path(app.env.doc2path(name)).parent

    def as_file(link: re.Match[str]) -> str:
        is_page = (folder / link[1]).resolve().is_relative_to(app.srcdir)
        return link[0] if is_page else f"](path:{link[1]})"

    source[0] = re.sub(r"\]\((\.\./[^)\s#]+\.md)\)", as_file, source[0])


def _mathml(node: nodes.Element, as_block: bool) -> str:
    try:
        return str(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        logger.warning("%s in %s", error, node.astext(), location=node)
        return ""


def _write_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _write_math_block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Draw mathematics as MathML; an expression that docutils cannot read is a warning."""
    app.add_html_math_renderer("mathml", (_write_math, None), (_write_math_block, None))
    app.connect("source-read", _link_to_files)
