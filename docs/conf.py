"""Settings of the documentation site; `make docs` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lnpbrian import __version__

project = "lnpbrian"
author = copyright = "The lnpbrian developers"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "site_pages",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "auto_experiments/table.md", "sg_execution_times.rst"]
# Single backquotes in docstrings are names of the package where there are such.
default_role = "py:obj"

myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "site_pages.GalleryOrder",
    "download_all_examples": False,
    "min_reported_time": 0,
    # Only what is printed is shown, not what a last line returns.
    "capture_repr": (),
    "show_signature": False,
    "reset_modules": ("matplotlib", "site_pages.reset_brian2"),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = "lnpbrian"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
}
html_sidebars = {"index": []}
