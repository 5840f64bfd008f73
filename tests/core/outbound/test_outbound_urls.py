"""URLs of strangers: every known way to make two readers see two hosts is refused before anybody is
asked.
"""

import pytest

from core.endpoints import Endpoint, parse_endpoint
from core.outbound.urls import ForbiddenUrl, parse_url

SCHEME, PORT = "begin with `https://`", "port has to be 443"
HOST, CHARACTERS, USER = (
    "public name or a plain IP address",
    "RFC 3986",
    "without user and password",
)
AUTHORITY = "has to have one host"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://images.example.com/a.png", SCHEME),
        ("ftp://images.example.com/a.png", SCHEME),
        ("file:///etc/passwd", SCHEME),
        ("gopher://images.example.com:443/", SCHEME),
        ("data:image/png;base64,AAAA", SCHEME),
        ("//images.example.com/a.png", SCHEME),
        ("images.example.com/a.png", SCHEME),
        ("https:/images.example.com", AUTHORITY),
        ("https:images.example.com", AUTHORITY),
        ("https://", AUTHORITY),
        ("https:///a.png", AUTHORITY),
        ("https://:443/a.png", AUTHORITY),
        ("https://images.example.com:8443/", PORT),
        ("https://images.example.com:80/", PORT),
        ("https://images.example.com:0/", PORT),
        ("https://images.example.com:65536/", AUTHORITY),
        ("https://images.example.com:four/", AUTHORITY),
        ("https://images.example.com:443:443/", AUTHORITY),
        ("https://user@images.example.com/", USER),
        ("https://user:secret@images.example.com/", USER),
        ("https://images.example.com@127.0.0.1/", USER),
        ("https://images.example.com:443@127.0.0.1/", USER),
        ("https://@images.example.com/", USER),
        ("https://images.example.com\\@127.0.0.1/", CHARACTERS),
        ("https://images.example.com\t.evil/", CHARACTERS),
        (" https://images.example.com/", CHARACTERS),
        ("https://images.example.com/\r\nX-Injected: 1", CHARACTERS),
        ("https://images.example.com/\x00", CHARACTERS),
        ("https://images.example.com/a b.png", CHARACTERS),
        ("", CHARACTERS),
        ("https://bücher.example.com/", CHARACTERS),
        ("https://１２７.0.0.1/", CHARACTERS),
        ("https://127。0。0。1/", CHARACTERS),
        ("https://ⓔxample.com/", CHARACTERS),
        ("https://exam\u00adple.com/", CHARACTERS),
        ("https://%31%32%37.0.0.1/", HOST),
        ("https://2130706433/", HOST),
        ("https://0x7f000001/", HOST),
        ("https://0x7f.1/", HOST),
        ("https://0x7f.0.0.1/", HOST),
        ("https://0177.0.0.1/", HOST),
        ("https://127.1/", HOST),
        ("https://127.0.1/", HOST),
        ("https://127.0.0.01/", HOST),
        ("https://127.0.0.0x1/", HOST),
        ("https://127.0.0.256/", HOST),
        ("https://1.2.3.4.5/", HOST),
        ("https://images.example.com.0x/", HOST),
        ("https://127.0.0.1./", HOST),
        ("https://images.example.com./", HOST),
        ("https://.example.com/", HOST),
        ("https://images..example.com/", HOST),
        ("https://-images.example.com/", HOST),
        (f"https://{'x' * 64}.example.com/", HOST),
        (f"https://{'x.' * 130}com/", HOST),
        ("https://localhost/", HOST),
        ("https://redis/", HOST),
        ("https://printer.local/", HOST),
        ("https://metadata.google.internal/computeMetadata/v1/", HOST),
        ("https://redis.default.svc.cluster.local/", HOST),
        ("https://LOCALHOST/", HOST),
        ("https://a.localhost/", HOST),
        ("https://[fe80::1%25eth0]/", AUTHORITY),
        ("https://[fe80::1%eth0]/", AUTHORITY),
        ("https://[::1/", AUTHORITY),
        ("https://[::1]evil.example.com/", AUTHORITY),
        ("https://[images.example.com]/", AUTHORITY),
        ("https://images.example.com/" + "x" * 5000, "at most 4096 characters but has 5027"),
    ],
)
def test_url_that_breaks_a_rule(url: str, words: str) -> None:
    """The answer names the rule and repeats nothing of the URL."""
    with pytest.raises(ForbiddenUrl) as refused:
        parse_url(url)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host", "resource"),
    [
        (
            "https://images.example.com/a.png?sig=a%2Fb&x=1",
            "images.example.com",
            "/a.png?sig=a%2Fb&x=1",
        ),
        ("HTTPS://Images.Example.COM", "images.example.com", "/"),
        ("https://images.example.com:443/a.png#part", "images.example.com", "/a.png"),
        ("https://images.example.com:/a.png", "images.example.com", "/a.png"),
        ("https://images.example.com?x=1", "images.example.com", "/?x=1"),
        ("https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com", "/"),
        ("https://my_bucket.s3.example.com/key", "my_bucket.s3.example.com", "/key"),
        ("https://3com.example.com//a", "3com.example.com", "//a"),
        ("https://8.8.8.8/", "8.8.8.8", "/"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", "/"),
    ],
)
def test_url_in_its_parts(url: str, host: str, resource: str) -> None:
    """What is checked, connected to, and asked for."""
    target = parse_url(url)
    assert (target.endpoint, target.resource) == (Endpoint(host, 443), resource)
    assert target.host_header == (f"[{host}]" if ":" in host else host)


def test_secrets_of_a_url_are_not_in_its_repr() -> None:
    """A trace or a log may show a target."""
    assert "hunter2" not in repr(parse_url("https://images.example.com/hunter2?token=hunter2"))


class TestAllowedHosts:
    ALLOWED = frozenset({Endpoint("127.0.0.1", 9000), Endpoint("minio", 80), Endpoint("::1", 9000)})

    @pytest.mark.parametrize(
        ("url", "host_header"),
        [
            ("http://127.0.0.1:9000/a.png", "127.0.0.1:9000"),
            ("https://127.0.0.1:9000/a.png", "127.0.0.1:9000"),
            ("http://minio/a.png", "minio"),
            ("http://MINIO:80/a.png", "minio"),
            ("https://minio:80/a.png", "minio:80"),
            ("http://[::1]:9000/", "[::1]:9000"),
        ],
    )
    def test_scheme_port_and_name_are_free(self, url: str, host_header: str) -> None:
        """For exactly the host and port that the operator named."""
        assert parse_url(url, self.ALLOWED).host_header == host_header

    @pytest.mark.parametrize(
        "url",
        [
            *(
                "http://127.0.0.1:9001/",
                "http://127.0.0.1/",
                "http://127.0.0.2:9000/",
                "https://minio/",
            ),
            *(
                "http://minio.example.com/",
                "http://127.0.0.1:9000@images.example.com/",
                "ftp://127.0.0.1:9000/",
            ),
            *("http://user@127.0.0.1:9000/", "http://127.1:9000/", "http://localhost:9000/"),
        ],
    )
    def test_neighbours_are_not(self, url: str) -> None:
        """Another port, another spelling, another host."""
        with pytest.raises(ForbiddenUrl):
            parse_url(url, self.ALLOWED)

    @pytest.mark.parametrize(
        "text", ["127.0.0.1", "minio:", "minio:0", "http://minio:80", "a@b:80", "minio:80/x", ""]
    )
    def test_entry_that_is_no_host_and_port(self, text: str) -> None:
        """Found at the start and not at the first request."""
        with pytest.raises(ValueError, match=r"has to be `host:port`|Port"):
            parse_endpoint(text)

    @pytest.mark.parametrize(
        ("text", "endpoint"),
        [
            ("MinIO:9000", ("minio", 9000)),
            ("[::1]:9000", ("::1", 9000)),
            ("127.0.0.1:80", ("127.0.0.1", 80)),
        ],
    )
    def test_entry(self, text: str, endpoint: tuple[str, int]) -> None:
        """As an operator writes it."""
        assert parse_endpoint(text) == endpoint
