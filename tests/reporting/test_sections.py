import pytest

from modelyard.reporting.sections import Cell


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "//example.org", "data:text/html,x", " https://e.org", "a"],
)
def test_links_other_than_http_are_refused(url):
    with pytest.raises(ValueError, match=r"`url` must begin with http.*'A paper'"):
        Cell("A paper", url=url)


@pytest.mark.parametrize("url", ["", "http://example.org", "https://example.org"])
def test_addresses_of_web_pages_and_no_address_are_accepted(url):
    assert Cell("A paper", url=url).url == url
