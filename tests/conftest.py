"""What all tests share."""

from tests.site.sitecustomize import install

install()
