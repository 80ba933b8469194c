"""The options of ``dicomd move``: movescu's, and a few of ours."""

from dataclasses import dataclass

from dicomd.cli.options import Grammar, Option, Parameter, Section
from dicomd.cli.tool import OUR_OPTIONS, general_section

_JPEG = "1.2.840.10008.1.2.4."
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
UNCOMPRESSED = (EXPLICIT, BIG_ENDIAN, IMPLICIT)


@dataclass(frozen=True, slots=True)
class Preference:
    """A transfer syntax that incoming associations are asked for first."""

    long: str
    short: str
    uid: str
    words: str


ENCAPSULATED = (
    Preference("--prefer-lossless", "+xs", f"{_JPEG}70", "JPEG lossless"),
    Preference("--prefer-jpeg8", "+xy", f"{_JPEG}50", "JPEG lossy, 8 bit"),
    Preference("--prefer-jpeg12", "+xx", f"{_JPEG}51", "JPEG lossy, 12 bit"),
    Preference("--prefer-j2k-lossless", "+xv", f"{_JPEG}90", "JPEG 2000 lossless"),
    Preference("--prefer-j2k-lossy", "+xw", f"{_JPEG}91", "JPEG 2000 lossy"),
    Preference("--prefer-jls-lossless", "+xt", f"{_JPEG}80", "JPEG-LS lossless"),
    Preference("--prefer-jls-lossy", "+xu", f"{_JPEG}81", "JPEG-LS lossy"),
    Preference("--prefer-mpeg2", "+xm", f"{_JPEG}100", "MPEG2 main level"),
    Preference("--prefer-mpeg2-high", "+xh", f"{_JPEG}101", "MPEG2 high level"),
    Preference("--prefer-mpeg4", "+xn", f"{_JPEG}102", "MPEG-4 level 4.1"),
    Preference("--prefer-mpeg4-bd", "+xl", f"{_JPEG}103", "MPEG-4 for Blu-ray"),
    Preference("--prefer-mpeg4-2-2d", "+x2", f"{_JPEG}104", "MPEG-4 level 4.2, 2D"),
    Preference("--prefer-mpeg4-2-3d", "+x3", f"{_JPEG}105", "MPEG-4 level 4.2, 3D"),
    Preference("--prefer-mpeg4-2-st", "+xo", f"{_JPEG}106", "MPEG-4 stereo"),
    Preference("--prefer-hevc", "+x4", f"{_JPEG}107", "HEVC main profile"),
    Preference("--prefer-hevc10", "+x5", f"{_JPEG}108", "HEVC main 10 profile"),
    Preference("--prefer-rle", "+xr", RLE, "RLE lossless"),
)
"""Preferences for an encapsulated syntax, in the order of the help text."""

_PREFER_DEFLATED = Preference("--prefer-deflated", "+xd", DEFLATED, "deflated explicit VR")

ACCEPT_ALL = (
    *(f"{_JPEG}{suffix}" for suffix in (91, 90, 51, 50, 70, 81, 80)),
    RLE,
    *(f"{_JPEG}{suffix}" for suffix in range(100, 109)),
    DEFLATED,
    *UNCOMPRESSED,
)
"""What ``+xa`` accepts, most wanted first (measured on DCMTK 3.6.7)."""

INCOMING: dict[str, tuple[str, ...]] = {
    "--prefer-uncompr": UNCOMPRESSED,
    "--prefer-little": UNCOMPRESSED,
    "--prefer-big": (BIG_ENDIAN, EXPLICIT, IMPLICIT),
    **{one.long: (one.uid, *UNCOMPRESSED) for one in (*ENCAPSULATED, _PREFER_DEFLATED)},
    "--implicit": (IMPLICIT,),
    "--accept-all": ACCEPT_ALL,
}
"""One exclusive group: what incoming associations may use, most wanted first."""

OUTGOING: dict[str, tuple[str, ...]] = {
    "--propose-uncompr": UNCOMPRESSED,
    "--propose-little": UNCOMPRESSED,
    "--propose-big": (BIG_ENDIAN, EXPLICIT, IMPLICIT),
    "--propose-deflated": (DEFLATED, *UNCOMPRESSED),
    "--propose-implicit": (IMPLICIT,),
}

MODELS = {"--patient": "patient", "--study": "study", "--psonly": "patient-study-only"}

WRITTEN = {
    "--write-xfer-same": "",
    "--write-xfer-little": EXPLICIT,
    "--write-xfer-big": BIG_ENDIAN,
    "--write-xfer-implicit": IMPLICIT,
    "--write-xfer-deflated": DEFLATED,
}

GRAMMAR = Grammar(
    "movescu",
    "DICOM retrieve (C-MOVE) SCU",
    (
        Parameter("peer", "host name or address of the archive"),
        Parameter("port", "its port"),
        Parameter("dcmfile-in", "query files: their data sets are sent", optional=True, many=True),
    ),
    (
        general_section(),
        Section("network options"),
        Section(
            "matching keys",
            (
                Option(
                    "--key", "-k", "what is retrieved; may be repeated", ("gggg,eeee=V or Name=V",)
                ),
            ),
            1,
        ),
        Section(
            "information model",
            (
                Option("--patient", "-P", "patient root (default)"),
                Option("--study", "-S", "study root"),
                Option("--psonly", "-O", "patient/study only"),
            ),
            1,
        ),
        Section(
            "application entity titles",
            (
                Option("--aetitle", "-aet", "our own (default: MOVESCU)", ("A",)),
                Option("--call", "-aec", "the archive's (default: ANY-SCP)", ("A",)),
                Option("--move", "-aem", "the destination's (default: our own)", ("A",)),
            ),
            1,
        ),
        Section(
            "transfer syntaxes of incoming associations",
            (
                Option("--prefer-uncompr", "+x=", "prefer explicit VR (default)"),
                Option("--prefer-little", "+xe", "prefer explicit VR little endian"),
                Option("--prefer-big", "+xb", "prefer explicit VR big endian"),
                *(
                    Option(one.long, one.short, f"prefer {one.words}")
                    for one in (*ENCAPSULATED, _PREFER_DEFLATED)
                ),
                Option("--implicit", "+xi", "accept implicit VR little endian only"),
                Option("--accept-all", "+xa", "accept all of these, compressed ones first"),
            ),
            1,
        ),
        Section(
            "transfer syntaxes of the outgoing association",
            (
                Option("--propose-uncompr", "-x=", "uncompressed, explicit VR first (default)"),
                Option("--propose-little", "-xe", "uncompressed, explicit little endian first"),
                Option("--propose-big", "-xb", "uncompressed, explicit big endian first"),
                Option("--propose-deflated", "-xd", "deflated first, then uncompressed"),
                Option("--propose-implicit", "-xi", "implicit VR little endian only"),
            ),
            1,
        ),
        Section(
            "access control",
            (
                Option("--access-full", "-ac", "any host may send (default)"),
                Option("--access-control", "+ac", "ask /etc/hosts.allow and /etc/hosts.deny"),
            ),
            1,
        ),
        Section(
            "port of incoming associations",
            (
                Option("--no-port", "", "none (default)"),
                Option("--port", "+P", "receive at this port", ("N: 1..65535",)),
            ),
            1,
        ),
        Section(
            "data sets behind pending responses, which are not allowed",
            (
                Option("--pending-ignore", "-pi", "assume that there is none (default)"),
                Option("--pending-read", "-pr", "read and drop it"),
            ),
            1,
        ),
        Section(
            "other network options",
            (
                Option("--timeout", "-to", "for the connection (default: none)", ("S: seconds",)),
                Option("--acse-timeout", "-ta", "for association messages (30)", ("S: seconds",)),
                Option("--dimse-timeout", "-td", "for other messages (none)", ("S: seconds",)),
                Option("--max-pdu", "-pdu", "longest PDU received (16384)", ("N: 4096..131072",)),
                Option("--disable-host-lookup", "-dhl", "do not look up host names"),
                Option("--repeat", "", "send each query N times", ("N",)),
                Option("--abort", "", "abort the association instead of releasing it"),
                Option("--ignore", "", "receive objects but store none"),
                Option("--cancel", "", "cancel after N responses (default: never)", ("N",)),
                Option("--uid-padding", "-up", "take UIDs padded with blanks without a word"),
                Option("--workers", "", "processes that receive (default: one a core)", ("N",)),
                *OUR_OPTIONS,
            ),
            1,
        ),
        Section("output options"),
        Section(
            "general",
            (Option("--output-directory", "-od", "where objects go (default: .)", ("D",)),),
            1,
        ),
        Section(
            "bit preserving mode",
            (
                Option("--normal", "-B", "write objects anew (default)"),
                Option("--bit-preserving", "+B", "write what was received, byte for byte"),
            ),
            1,
        ),
        Section(
            "file format",
            (
                Option("--write-file", "+F", "with meta header (default)"),
                Option("--write-dataset", "-F", "the data set alone"),
            ),
            1,
        ),
        Section(
            "transfer syntax of files",
            (
                Option("--write-xfer-same", "+t=", "as received (default)"),
                Option("--write-xfer-little", "+te", "explicit VR little endian"),
                Option("--write-xfer-big", "+tb", "explicit VR big endian"),
                Option("--write-xfer-implicit", "+ti", "implicit VR little endian"),
                Option("--write-xfer-deflated", "+td", "deflated explicit VR little endian"),
            ),
            1,
        ),
        Section(
            "value representations added since 1993",
            (
                Option("--enable-new-vr", "+u", "write them as they are (default)"),
                Option("--disable-new-vr", "-u", "write them as OB"),
            ),
            1,
        ),
        Section(
            "group lengths",
            (
                Option("--group-length-recalc", "+g=", "make present ones right (default)"),
                Option("--group-length-create", "+g", "write one for every group"),
                Option("--group-length-remove", "-g", "write none"),
            ),
            1,
        ),
        Section(
            "lengths of sequences and items",
            (
                Option("--length-explicit", "+e", "explicit (default)"),
                Option("--length-undefined", "-e", "undefined"),
            ),
            1,
        ),
        Section(
            "trailing padding",
            (
                Option("--padding-off", "-p", "none (default)"),
                Option("--padding-create", "+p", "to multiples of F and I", ("F: file", "I: item")),
            ),
            1,
        ),
        Section(
            "deflated files",
            (Option("--compression-level", "+cl", "zlib's level (6)", ("L: 0..9",)),),
            1,
        ),
    ),
)
