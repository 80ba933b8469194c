"""Which transfer syntax an acceptor of ours likes best when a context offers several.

An acceptor takes the first of *its* transfer syntaxes that the context offers (measured on DCMTK
3.6.7; PS3.8 leaves the choice to it), and the sender must then convert what it has. Senders mostly
offer each syntax in a context of its own, and then the order decides nothing. Where one context
offers several, this order never costs information and seldom a conversion:

1. Video: nobody compresses to it, or can decompress it, on the way. It is offered by who has it.
2. Lossless compression: who offers it beside an uncompressed syntax has it, or can make it without
   loss. With an uncompressed syntax first, archives would have to decompress all they have: dcmsend
   offers an RLE object as RLE and uncompressed in one context (measured on DCMTK 3.6.7).
3. Uncompressed, Explicit VR first: it keeps the types of private elements.
4. Compression that may be lossy: before the uncompressed ones it would make a modality that *can*
   compress throw information away. Who has such an object offers it alone (dcmsend does), or
   decompresses it, and nothing more is lost.
5. What many readers don't know: deflated, big endian, JPIP references, retired JPEG processes.
"""

from dicomd.settings.profile import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

UNCOMPRESSED_TRANSFER_SYNTAXES = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)

VIDEO_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.4.107",  # HEVC Main
    "1.2.840.10008.1.2.4.108",  # HEVC Main 10
    "1.2.840.10008.1.2.4.106",  # MPEG-4, stereo
    "1.2.840.10008.1.2.4.106.1",  # .1: the fragmentable form
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.105.1",
    "1.2.840.10008.1.2.4.104",
    "1.2.840.10008.1.2.4.104.1",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.103.1",
    "1.2.840.10008.1.2.4.102",  # MPEG-4 4.1
    "1.2.840.10008.1.2.4.102.1",
    "1.2.840.10008.1.2.4.101",  # MPEG-2 high
    "1.2.840.10008.1.2.4.101.1",
    "1.2.840.10008.1.2.4.100",  # MPEG-2 main
    "1.2.840.10008.1.2.4.100.1",
)

LOSSLESS_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.4.202",  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.111",  # JPEG XL, recompressed JPEG
    "1.2.840.10008.1.2.4.110",  # JPEG XL lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.92",  # JPEG 2000 multi-component lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.8.1",  # deflated image frames
    "1.2.840.10008.1.2.1.98",  # encapsulated uncompressed
)

LOSSY_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.4.203",  # HTJ2K
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.93",  # JPEG 2000 multi-component
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.51",  # JPEG extended, 12 bit
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
)

RARE_TRANSFER_SYNTAXES = (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.204",  # JPIP HTJ2K referenced
    "1.2.840.10008.1.2.4.205",
    "1.2.840.10008.1.2.4.94",  # JPIP referenced
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.58",  # retired JPEG processes from here on
    "1.2.840.10008.1.2.4.65",
    "1.2.840.10008.1.2.4.66",
    "1.2.840.10008.1.2.4.52",
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.54",
    "1.2.840.10008.1.2.4.55",
    "1.2.840.10008.1.2.4.56",
    "1.2.840.10008.1.2.4.59",
    "1.2.840.10008.1.2.4.60",
    "1.2.840.10008.1.2.4.61",
    "1.2.840.10008.1.2.4.62",
    "1.2.840.10008.1.2.4.63",
    "1.2.840.10008.1.2.4.64",
    "1.2.840.113619.5.2",  # GE private: implicit VR with big endian pixels
)

PREFERRED_TRANSFER_SYNTAXES = (
    *VIDEO_TRANSFER_SYNTAXES,
    *LOSSLESS_TRANSFER_SYNTAXES,
    *UNCOMPRESSED_TRANSFER_SYNTAXES,
    *LOSSY_TRANSFER_SYNTAXES,
    *RARE_TRANSFER_SYNTAXES,
)
"""Every transfer syntax that a stored object can come in. The retired MIME and XML encodings,
Papyrus and the real-time ones (SMPTE ST 2110) are no forms of a C-STORE."""

NOT_FOR_STORAGE = frozenset(
    {
        "1.2.840.10008.1.20",  # Papyrus 3
        "1.2.840.10008.1.2.6.1",  # RFC 2557 MIME encapsulation, retired
        "1.2.840.10008.1.2.6.2",  # XML, retired
        "1.2.840.10008.1.2.7.1",  # SMPTE ST 2110
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
    }
)
"""Transfer syntaxes of the standard that are left out on purpose."""
