"""Names that no storage may accept as an object key."""

from core.objects.local import INCOMING

NASTY = [
    "",
    ".",
    "..",
    "../secret",
    "jobs/../../secret",
    "jobs/..",
    "/etc/passwd",
    "//etc/passwd",
    "jobs//video.mp4",
    "jobs/./video.mp4",
    "jobs\\..\\secret",
    "C:\\secret",
    "~/secret",
    "video.mp4\0.png",
    "video.mp4\n",
    "%2e%2e/secret",
    "..%2fsecret",
    "%252e%252e%252fsecret",
    "\uff0e\uff0e/secret",  # full-width dots
    "\u2024\u2024/secret",  # one-dot leaders
    "..\u2215secret",  # a division slash
    "\u202egpj.exe",  # right to left
    "vide\u0301o.mp4",
    "\ud83d.mp4",  # half a character
    ".hidden",
    f"{INCOMING}1",
    "jobs/-/../x",
    "a" * 5000 + "/..",
]
