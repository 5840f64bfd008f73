"""Tell public IP addresses from all others.

Python's `is_global` follows IANA's registries as they were when that Python was released, and it
counts multicast as global. The tables here hold what must be refused with every version; an address
has to pass both.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# IANA's IPv4 special-purpose registry, multicast and the reserved class E. The last one is the
# platform address of a large cloud: routed only inside it, it hands out secrets of the machine, and
# no registry lists it.
_SPECIAL_V4 = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16
192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
168.63.129.16/32
"""
_REFUSED_V4 = [IPv4Network(network) for network in _SPECIAL_V4.split()]

# Only this part of IPv6 is handed out. Loopback, link-local, unique local (with fd00:ec2::254),
# multicast, and every form that carries an IPv4 address in its last bits (mapped, compatible,
# NAT64's 64:ff9b::) lie outside of it.
_UNICAST_V6 = IPv6Network("2000::/3")

# Inside of it: protocol assignments with Teredo, documentation, 6to4, AS112, documentation again.
# Teredo and 6to4 lead to whatever IPv4 address they embed, so they are refused as a whole; no
# server of today is reached only that way.
_REFUSED_V6 = [
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
]


def is_public(address: str) -> bool:
    """Whether a literal address is one of the public Internet; False for what is no address at
    all.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and (
        parsed.scope_id is not None  # `%eth0` names a network card of this machine
        or parsed not in _UNICAST_V6
    ):
        return False
    refused = _REFUSED_V4 if isinstance(parsed, IPv4Address) else _REFUSED_V6
    return parsed.is_global and not any(parsed in network for network in refused)
