"""What kind of document bytes are, by how they begin: the one place that looks."""

XML, JSON, ZIP = "application/xml", "application/json", "application/zip"

# White space, and what may stand around a `<` in another encoding than UTF-8 (XML 1.0, appendix F):
# the byte order marks of UTF-8, UTF-16 and UTF-32, and the zeros of the last two.
_BEFORE = b" \t\r\n\xef\xbb\xbf\xfe\xff\0"


def is_xml(document: bytes) -> bool:
    """Whether it is meant as XML, in any encoding that libxml2 reads; not whether it is well-formed."""
    return document.lstrip(_BEFORE).startswith(b"<")


def media_type(document: bytes) -> str:
    """XML, a zip, or else JSON."""
    if is_xml(document):
        return XML
    return ZIP if document.startswith(b"PK") else JSON


def fits(media: str, document: bytes) -> bool:
    """Whether an XML media type (RFC 7303) comes with XML, and any other with something else."""
    named = media.partition(";")[0].strip().lower()
    return is_xml(document) == named.endswith(("/xml", "+xml"))
