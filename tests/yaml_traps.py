"""Strings that some reader of YAML takes for something else, or loses a part of."""

WORDS = (
    "08 -08 +08 03788745 0o14 0o_7 0_7 0x_ 0b_ 0x1F +0x1 0b11 = << y n Y N yes No on OFF true null"
    " Null ~ 1e3 1E3 1.5e3 2e5 1e-5 0e0 .5 +.5 1. 1_000 _1 12:30 190:20:30 2024-01-01 .inf .NaN -"
    " 2024-01-01T00:00:00Z --- ... - ? : # & * ! | > % @ ` { [ ' \" , +1 0 007 inf 123e4 0123abc"
)
TRAPS = [
    *WORDS.split(),
    "",
    " ",
    "a\u2028b",
    "\u2029",
    "a\x85b\n",
    "\ufeff",
    "a\ufeff\nb\n",
    "a\x00",
    "\x1b[1m",
    "\x7f",
    "\x9f",
    "\r",
    "a\r\nb\r\n",
    "trail ",
    "trail \nb \n",
    " lead\nb\n",
    "\ttab",
    "a\tb\n\tc\n",
    "\n",
    "\n\n",
    "\na",
    "a\n\n\n",
    "a\n  b\n c",
    "- a",
    "a: b",
    "a #b",
    "a:",
    "# no comment\nx\n",
    "---\nx\n",
    "😀 é 日本 \xa0",
    "\ufffe",
    "9" * 18 + ":0",
    "11:22:33:44:55:01:23:45:12:34:56:10:20:30:40:50",
    "x" * 500,
    "word " * 190,
]
