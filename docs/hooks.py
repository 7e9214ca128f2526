"""Pages of the site that lie outside docs/, and links that work on the site as in the clone."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# These keep their place in the clone; on the site they are pages too.
OUTSIDE = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "evals/**/*.md")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point relative links at pages of the site; of a link to another file the text stays."""
    here = Path(page.file.abs_src_path or "").parent

    def on_site(link: re.Match[str]) -> str:
        text, target, anchor = link[1], (here / link[2]).resolve(), link[3] or ""
        for file in files:
            if file.abs_src_path is not None and Path(file.abs_src_path) == target:
                place = os.path.relpath(file.src_uri, Path(page.file.src_uri).parent)
                return f"[{text}]({Path(place).as_posix()}{anchor})"
        return text if target.exists() else link[0]  # a dead link stays, for the build to refuse

    return LINK.sub(on_site, markdown)
