"""How sphinx makes the site: pages in Markdown, some of them notebooks, and docstrings.

`launch/docs.sh` builds it. Links to files of the repository become downloads; those to its
folders and pages beside `docs/`, which a site has not, become words.
"""

import os
import re
from importlib.metadata import version as version_of
from pathlib import Path

project = "mclf_jax"
author = copyright = "The mclf_jax authors"
version = release = version_of("mclf-jax")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["jupyter_execute", "_build", "tutorial/runs"]
default_role = "literal"  # docstrings write `name` for code
highlight_language = "text"  # shell commands stand in fences without a language

html_theme = "furo"
html_title = "mclf_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]

# MCLF_NOTEBOOKS=off leaves them without outputs, for a quick look at a page.
nb_execution_mode = os.environ.get("MCLF_NOTEBOOKS", "force")
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # progress of training

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#]*)\)")


def _without_folders(app, docname, source):
    """Leave of a link to a folder, or to a page beside the site, what is written there."""
    page = Path(app.env.doc2path(docname)).parent

    def text_of(link):
        target = (page / link[2]).resolve()
        is_page = target.suffix == ".md" and not target.is_relative_to(Path(app.srcdir).resolve())
        return link[1] if is_page or target.is_dir() else link[0]

    source[0] = _LINK.sub(text_of, source[0])


def setup(app):
    """Called by sphinx."""
    app.connect("source-read", _without_folders)
